"""`python -m point_service`, the same as `point-service`."""

from point_service.main import main

main()
