"""What of chats can be searched, what a person's words ask for, and how a place is shown. Pure: no index lives here."""
