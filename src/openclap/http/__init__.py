"""The one server of service and page: an application goes in, and is answered behind limits, a gate and a log."""
