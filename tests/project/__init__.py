"""What the tool reads from projects: layouts, addresses, environments. Most need neither database nor process."""
