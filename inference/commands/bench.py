from inference.commands.group import Commands


def add(commands: Commands) -> None: ...
