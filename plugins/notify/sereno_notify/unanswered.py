"""What is raised where nobody knows whether it has arrived."""


class UnansweredError(Exception):
    """It was sent, and no answer came: no DeliveryError, as it may have arrived."""
