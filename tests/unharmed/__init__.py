"""Nothing is lost: kills, interrupts, shortages, hostile input. Some need root, /proc, or to mount."""
