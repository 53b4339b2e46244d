"""What people do with the store: each function takes the database and an actor, and authorises."""
