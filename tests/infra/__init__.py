"""What Azure is told: templates, image, package, workflow."""
