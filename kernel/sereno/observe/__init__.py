"""What the kernel shows of itself: metrics, health, overdue jobs, logs."""
