"""Every SQL statement of the service. Values travel as parameters only, moments as UTC.

MySQL 8.0's subset that MariaDB 10.11 knows too. Statements that need nothing from each other travel in one
round trip: the server runs them one by one, and at READ COMMITTED each sees what was committed before it, so
what follows the locking read sees the member as the lock found it.
"""
