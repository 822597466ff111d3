package tui

// binding is one row of the help screen; the table is what the help is made of,
// and a test holds it against what Update does.
type binding struct {
	keys string // as people write them
	does string
}

var bindings = []binding{
	{"Enter", "send the message"},
	{"Alt+Enter, Ctrl+J", "begin a new line"},
	{"Tab, Ctrl+N", "next room; Tab completes a word that is being written"},
	{"Shift+Tab, Ctrl+P", "previous room"},
	{"Alt+Up, Alt+Down", "previous and next room"},
	{"PgUp, PgDn, wheel", "scroll through the conversation"},
	{"Ctrl+Home, Ctrl+End", "oldest loaded and newest message; Home and End too while nothing is written"},
	{"Ctrl+R", "send again what could not be sent"},
	{"Up", "take back what could not be sent, to edit it"},
	{"Ctrl+A, Ctrl+E", "start and end of the line"},
	{"Ctrl+W, Ctrl+U, Ctrl+K", "cut the word, the line to its start, to its end"},
	{"Ctrl+Y", "put back what was cut"},
	{"Ctrl+O", "show long messages whole, or fold them"},
	{"F2", "go to the conversations and people at the left: choose, Enter opens"},
	{"F4", "what waits for you: requests, invitations"},
	{"F5", "about this conversation: who can read it, members, whom it is with"},
	{"F9", "a menu of what can be done"},
	{"F6", "choose a message: what becomes of it, answer, react, edit, remove"},
	{"F3", "mouse off and on, to select text with it"},
	{"Ctrl+L", "draw the screen anew"},
	{"Esc", "close this, forget a notice, go to the newest message"},
	{"Ctrl+Q, Ctrl+C twice", "quit"},
}
