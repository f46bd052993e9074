"""Navigation: from what a query excites to where it should look."""
