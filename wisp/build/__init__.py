"""Tools that build and check what is not kept in the repository; nothing of the running program imports them."""
