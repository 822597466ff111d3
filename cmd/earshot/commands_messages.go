package main

import (
	"time"

	"github.com/spf13/cobra"

	"earshot/chat"
)

// messageCommands are the rows of the table about single messages, about how long they
// last, and about people who are away.
func messageCommands() []command {
	lasting := []completer{completeSealed, completeWords("1h", "1d", "7d", "30d", "90d", "off")}
	return []command{
		{
			name: "message", about: aboutTalk, args: "ID", min: 1, max: 1, run: runMessage,
			short:   "Show where a message is, with whom, and what it was before",
			long:    "Tell the whole story of one message: with whom it has arrived and who has read it,\nwho holds it for those who are away, and what it said before it was edited. ID is\nwhat `earshot send` printed, or what `earshot history --ids` shows; its first 6\ncharacters are enough.\n\nA message of yours is here (on this device only), held (also on devices that will\nhand it on), delivered (on a device of the recipient) or read. Nothing is said\nbefore a device has said so itself; who lets nobody know how far they have read\n(`earshot privacy`) stays at delivered.",
			example: "  earshot message k3jxq2",
		},
		{
			name: "edit", about: aboutTalk, args: "ID [TEXT...]", min: 1, max: -1, run: runEdit,
			short: "Change what a message of yours says",
			long:  "Change what a message of yours says. Everybody sees that it was edited, and what it\nsaid before stays in its story. Without a text, or with - in its place, standard\ninput is read.",
		},
		{
			name: "delete", about: aboutTalk, args: "ID", min: 1, max: 1, flags: yesFlag, run: runDelete,
			short: "Remove a message for everybody: yours, or as an admin anybody's",
			long:  "Remove a message, and what it said before, from every device that hears of it. All\nsee that it was removed and by whom. `earshot message` tells on how many devices it\nis known to be gone. What somebody has read, copied or kept with other software\ncan't be taken back.",
		},
		{
			name: "react", about: aboutTalk, args: "ID EMOJI", min: 2, max: 2, run: runReact,
			complete: []completer{completeWords(), completeWords("👍", "❤️", "😂", "🎉", "😮", "😢", "✅")},
			short:    "Put an emoji under a message, or take yours away",
			flags: func(c *cobra.Command, o *options) {
				c.Flags().BoolVar(&o.off, "off", false, "take it away")
			},
		},
		{
			name: "missing", about: aboutTalk, args: "[TO]", max: 1, complete: []completer{completeTo}, run: runMissing,
			short: "List messages that are known to exist and are not here yet",
			long:  "List what is known to exist and has not been received yet, by author, in one room\nor in all. Earshot asks everybody it meets for it; it comes by itself.",
			slash: "missing", say: sayMissing,
		},
		{
			name: "room disappear", args: "TO TIME|off", min: 2, max: 2, complete: lasting, flags: yesFlag, run: runDisappear,
			short:   "Have new messages disappear after a time, for everybody",
			long:    "Have what is said from now on in a private room or a direct chat disappear on every\ndevice, a time after it was said. What was said before stays. TIME is a number with\ns, m, h, d or w behind it.",
			example: "  earshot room disappear @Bob 1d\n  earshot room disappear '#plan' off",
		},
		{
			name: "room keep", args: "TO TIME|off", min: 2, max: 2, complete: lasting, flags: yesFlag, run: runKeep,
			short:   "Keep messages only so long, for everybody",
			long:    "Have everything in a private room or a direct chat removed on every device once it\nis older than this, what was said before too. TIME is a number with s, m, h, d or\nw behind it; off keeps all from now on, and brings nothing back.",
			example: "  earshot room keep '#plan' 90d",
		},
		{
			name: "keeper on", run: runKeeperOn, short: "Hold sealed messages for your contacts while they are away",
			long: "Make this node a keeper: it holds messages that your contacts bring, for people who\nare away, and hands them on when these come, even if the sender has gone by then.\nIt can read none of them. It is of most use on a machine that is always on: see\n\"Keepers\" in the README for one that starts by itself.",
			flags: func(c *cobra.Command, o *options) {
				yesFlag(c, o)
				c.Flags().StringVar(&o.space, "space", "1G", "give it this `SIZE` of the disk: a number with K, M, G or T")
			},
		},
		{name: "keeper off", run: runKeeperOff, flags: yesFlag, short: "Hold messages for others no longer"},
		{
			name: "keeper status", run: runKeeperStatus, short: "Show what this node holds for others",
			slash: "keeper", say: sayKeeper,
		},
		{
			name: "carry out", args: "FILE|DIR", min: 1, max: 1, flags: yesFlag, run: runCarryOut,
			short:   "Write sealed messages into a file, to be carried where no network goes",
			long:    "Write what you have for others, and what you hold for others, sealed, into a file: on\na USB stick for example. Where that is taken to, `earshot carry in` takes it up,\nand hands on what is for somebody else. A directory gets a new file.",
			example: "  earshot carry out /media/stick\n  earshot carry in /media/stick",
		},
		{
			name: "carry in", args: "FILE|DIR", min: 1, max: 1, run: runCarryIn,
			short: "Take up what `earshot carry out` wrote, here or elsewhere",
			long:  "Take up what `earshot carry out` wrote: from one file, or from all such files of a\ndirectory. What is for you is shown as if it had come over the network, once; what\nis for others is held for them, within the limits that a keeper has. A file can be\ntaken in any number of times, at any number of places.",
		},
	}
}

// waitFlags are those of send.
func waitFlags(c *cobra.Command, o *options) {
	c.Flags().StringVar(&o.wait, "wait", "", "wait until everybody it is for has it, or has read it: `delivered|read`")
	c.Flags().DurationVar(&o.timeout, "timeout", defaultWait, "with --wait: give up after this `TIME`")
	c.Flags().StringVar(&o.reply, "reply", "", "answer the message with this `ID`")
	_ = c.RegisterFlagCompletionFunc("wait", cobra.FixedCompletions([]string{chat.StateDelivered, chat.StateRead}, cobra.ShellCompDirectiveNoFileComp)) // fails for an unknown flag only
}

// defaultWait is how long send --wait waits.
const defaultWait = 30 * time.Second
