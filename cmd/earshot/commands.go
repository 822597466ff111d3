package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"earshot/node/api/client"
)

// command is one thing that Earshot can do, however it is asked for: commands of
// the command line with their help and completion, and slash commands of the
// terminal UI, are all made from the table below.
type command struct {
	name     string // its words, such as "room join"
	about    string // under which of the headings help shows it
	args     string // as shown in help, such as "TO [TEXT...]"
	min, max int    // how many arguments; max < 0 means any number
	short    string // one line, as a sentence without its full stop
	long     string
	example  string
	complete []completer // what each argument may be
	flags    func(*cobra.Command, *options)
	run      verb

	// slash is its name in the terminal UI without the slash, "" if it is not
	// offered there. say carries it out there; it is nil for what the UI does
	// itself. slashArgs is what is shown behind the name.
	slash, slashArgs string
	say              saying
}

// saying carries out a slash command in a room and returns what to show.
type saying func(ctx context.Context, c *client.Client, room, args string) (string, error)

// options are the values of all flags.
type options struct {
	home       string
	json       bool
	name       string
	port       int
	interfaces []string
	offline    bool
	logLevel   string
	logFile    string

	newest int    // of history
	before string // of history
	first  int    // of follow: how many of what was said come first
	since  string // of follow

	passphraseFile string // of passphrase, backup and restore: where the new one stands
	remove         bool   // of passphrase

	yes     bool   // of what is dangerous: do it without asking
	note    string // of add
	role    string // of room invite
	history string // of room create
	off     bool   // of react: take it away
	space   string // of keeper on

	wait    string // of send: how far the message is to come
	timeout time.Duration
	reply   string // of send: the message that it answers
	ids     bool   // of history
	label   string // of device join

	text      *string // of status: nil for as it is
	lasting   string  // of status: for how long
	until     string  // of status
	clear     bool    // of status
	line      bool    // of presence
	following bool    // of presence
	leave     bool    // of watch
	patience  time.Duration
	audience  string // of profile set
	group     string // of people
	sought    string // of people
}

// commands is the table. Its rows stand here; in commands_messages.go, as far as single
// messages and people who are away are concerned; in commands_presence.go, as far as who
// is free is; and, as far as only chosen people are, in commands_private.go.
func commands() []command {
	return slices.Concat(commonCommands(), messageCommands(), presenceCommands(), privateCommands())
}

func commonCommands() []command {
	return []command{
		{
			name: "daemon", about: aboutHome, run: runDaemon, short: "Run a node without a face until it is stopped",
			long:    "Run a node without a face until it is stopped. It prints one line when it is\nready. SIGTERM, Ctrl+C and `earshot stop` end it cleanly within two seconds.",
			example: "  earshot daemon --interface eth0\n  earshot daemon --json --log-level info",
		},
		{name: "stop", about: aboutHome, run: runStop, short: "Stop the daemon that runs on this home"},
		{
			name: "me", about: aboutHome, run: runMe, short: "Show who you are and how others reach you",
			slash: "me", say: sayMe,
		},
		{
			name: "people", about: aboutPeople, args: "[NAME]", max: 1, complete: []completer{completePeople}, run: runPeople,
			short:   "List the people on this network, or show one of them",
			long:    "List your contacts by group (`earshot group`) or department, and behind them those who\nare nearby and not known, who is free first: ● available, ◐ away, ⊘ busy or not to be\ndisturbed, ◇ here and not telling, ○ gone. With a name, or an id or the beginning of\none, show everything known about that person. Without a running node this looks round\nfor up to a second and a half.",
			example: "  earshot people --group sales\n  earshot people --search 'third floor'",
			flags: func(c *cobra.Command, o *options) {
				c.Flags().StringVar(&o.group, "group", "", "list only who is in the group or department `NAME`")
				c.Flags().StringVar(&o.sought, "search", "", "list only those of whom something known holds this `TEXT`")
				_ = c.RegisterFlagCompletionFunc("group", offering(o, completeGroups)) // fails for an unknown flag only
			},
			slash: "people", say: sayPeople,
		},
		{
			name: "rooms", about: aboutTalk, run: runRooms, short: "List the rooms you are in",
			slash: "rooms", say: sayRooms,
		},
		{
			name: "room join", args: "#ROOM", min: 1, max: 1, run: runJoin,
			short: "Join an open room, or begin it",
			long:  "Join an open room, or begin it. Anyone on this network who knows its name can\nread it. Quote the # where your shell takes it for a comment, or leave it out.",
			slash: "join", slashArgs: "#room",
		},
		{
			name: "room leave", args: "#ROOM", min: 1, max: 1, complete: []completer{completeRooms}, run: runLeave,
			short: "Leave a room; what was said there is kept",
			long:  "Leave a room. What was said there is kept. An open room can be joined again; into\na private one leads only another invitation.",
			flags: yesFlag,
			slash: "leave",
		},
		{
			name: "send", about: aboutTalk, args: "TO [TEXT...]", min: 1, max: -1, complete: []completer{completeTo}, run: runSend,
			short:   "Send a message and print its id",
			long:    "Send a message and print its id, once it is stored. TO is a room, or a contact: a\nname or @name, or an id. Only contacts have names here, since anybody can call\nthemselves anything; what fits several is an error that lists them. Without\na text, or with - in its place, standard input is read: all of it is one message.\nWords are joined by single spaces. Without a running node one is started for as\nlong as it takes to pass the message on, two seconds at most.\n\nWith --wait it goes on until a device of everybody it is for has the message, or\nuntil all have read it, and then says so. When the time is up it says how far it\ncame and who is missing, and ends with exit code 10; the message goes on by itself.",
			example: "  earshot send lobby Good morning\n  make 2>&1 | tail -20 | earshot send '#builds'\n  earshot send @Bob 'Lunch?' --wait read --timeout 5m",
			flags:   waitFlags,
		},
		{
			name: "history", about: aboutTalk, args: "TO", min: 1, max: 1, complete: []completer{completeTo}, run: runHistory,
			short: "Show what was said, oldest first",
			flags: func(c *cobra.Command, o *options) {
				c.Flags().IntVarP(&o.newest, "number", "n", 20, "show the newest `N` messages")
				c.Flags().StringVar(&o.before, "before", "", "show those before the message with this `ID`")
				c.Flags().BoolVar(&o.ids, "ids", false, "show the beginning of each message's id, for `earshot message` and its like")
			},
		},
		{
			name: "follow", about: aboutTalk, args: "[TO]", max: 1, complete: []completer{completeTo}, run: runFollow,
			short:   "Show what happens, as it happens",
			long:    "Show what happens, as it happens, in one room or in all, until it is interrupted.\nWith --json every event is an object on a line of its own: messages, people who\ncome and go, who is typing. The cursor of a message or room event, given to\n--since, goes on behind it and misses nothing.",
			example: "  earshot follow lobby -n 10\n  earshot follow --json --since 1041 | jq -r 'select(.type==\"message\").text'",
			flags: func(c *cobra.Command, o *options) {
				c.Flags().IntVarP(&o.first, "number", "n", 0, "show the newest `N` messages first")
				c.Flags().StringVar(&o.since, "since", "", "show first what came after this `CURSOR` or message id; 0 for all")
			},
		},
		{
			name: "passphrase", about: aboutHome, run: runPassphrase, short: "Set, change or remove the passphrase that opens your home",
			long: "Set or change the passphrase without which nobody can read your keys and history,\nnot even with a copy of them. It is asked for when a node starts. There is no way\nround it: who forgets it has lost the home.\n\nWithout a terminal the current passphrase comes from the file that\n$EARSHOT_PASSPHRASE_FILE names, and the new one from --passphrase-file; without\neither flag, a home that has none yet gets the former.",
			flags: func(c *cobra.Command, o *options) {
				passphraseFlag(c, o)
				c.Flags().BoolVar(&o.remove, "remove", false, "open the home without one: by the system's keyring or, where there is none, for whoever can read it")
			},
		},
		{
			name: "lock", about: aboutHome, run: runLock, short: "Stop the node; the next start asks for the passphrase",
			long: "Stop the node that runs on the home, and forget what opens it without asking: the\nnext start asks for the passphrase.",
		},
		{
			name: "backup", about: aboutHome, args: "FILE", min: 1, max: 1, flags: passphraseFlag, run: runBackup,
			short: "Write your keys and history into an encrypted file",
			long:  "Write your keys and history, as they are now, into a file that is encrypted with a\npassphrase of its own and signed. A node may go on running meanwhile. Whoever has\nthe file and its passphrase is you.",
		},
		{
			name: "restore", about: aboutHome, args: "FILE", min: 1, max: 1, flags: passphraseFlag, run: runRestore,
			short: "Bring keys and history back from a backup, into an empty home",
			long:  "Bring keys and history back from a backup, into an empty home, which the passphrase\nof the backup opens from then on. What was said since the backup comes back from\nothers who have it. Do not go on using the device that the backup was made on.",
		},
		{
			name: "demo", about: aboutTalk, run: runDemo, short: "Watch Earshot alive, with no network",
			long: "Watch a few people come, talk in the open and in private, and leave, on a network\nthat exists only in this process, and talk with them. Where there is no\nterminal it prints what happens for three quarters of a minute. Nothing of it is kept.",
		},
		{name: "version", about: aboutHome, run: runVersion, short: "Show the version of this program"},
	}
}
