"""The whole integration over a connection that is shared, weak, slow or lost."""
