"""The whole integration over a link that is shared, weak, slow or lost."""
