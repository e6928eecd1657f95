from inference.commands.group import Commands


def add(models: Commands) -> None: ...
