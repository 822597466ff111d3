package main

import (
	"github.com/spf13/cobra"

	"earshot/chat"
)

// presenceCommands are the rows of the table about who is free, what people tell of
// themselves, and what may interrupt.
func presenceCommands() []command {
	contacts := []completer{completeContacts}
	inGroup := []completer{completeGroups, completeContacts, completeContacts, completeContacts, completeContacts}
	return []command{
		{
			name: "status", about: aboutFree, args: "[STATE]", max: 1, complete: []completer{completeWords(states...)}, run: runStatus,
			short: "Show or change whether you want to be interrupted",
			long: "Show or change what those see who may (`earshot privacy presence`). STATE is one of:\n\n" +
				"  available  you are free; while nobody touches this machine, or its screen is\n" +
				"             locked, away is shown by itself\n" +
				"  away       you are not at your desk\n" +
				"  busy       you are here, and would rather not be interrupted\n" +
				"  meeting    nothing alerts you; it needs an end\n" +
				"  dnd        nothing alerts you: do not disturb\n" +
				"  offline    you are shown as gone, and still get what is sent to you\n\n" +
				"--for and --until end the state, the text (-m), or both, whichever is given beside\nthem. A state without them lasts until you choose another.\n\n" +
				"offline is a courtesy and no cover: people with another program than Earshot can\nstill tell that this machine is connected. `earshot invisible on` hides it, and then\nnothing reaches you either.",
			example: "  earshot status -m lunch --until 13:30\n  earshot status meeting --for 1h -m 'budget'\n  earshot status dnd --until 2026-12-01T09:00\n  earshot status --clear",
			flags:   statusFlags,
			slash:   "status", slashArgs: "[state] [-m text] [--for 1h | --until 14:00] [--clear]", say: sayStatus,
		},
		{
			name: "presence", about: aboutFree, args: "PERSON|EMAIL", min: 1, max: 1, complete: contacts, run: runPresence,
			short: "Say whether somebody is free, for scripts and status bars",
			long: "Say whether somebody is free. The exit code is 0 if they are available, 20 if they are\naway, 21 if they are busy, in a meeting or not to be disturbed, 22 if they are gone,\n23 if they are here and do not show you whether they are free, 4 if nobody is meant\nand 3 if no node runs: none is started for this.\n\n" +
				"An e-mail address finds contacts who say that it is theirs and show it to you, and\nnobody else. With --line all of it is one short line, without colours and control\ncharacters; what stands in it is what they have written. With --follow it is told\nagain whenever it changes, until the node ends.",
			example: "  earshot presence bob@example.org --line\n  earshot presence Bob >/dev/null && earshot send @Bob 'Have you got a minute?'",
			flags: func(c *cobra.Command, o *options) {
				c.Flags().BoolVar(&o.line, "line", false, "print one short line")
				c.Flags().BoolVar(&o.following, "follow", false, "go on, and print whenever it changes")
			},
		},
		{
			name: "watch", about: aboutFree, args: "PERSON", min: 1, max: 1, complete: contacts, run: runWatch,
			short:   "Tell once when a contact is free",
			long:    "Wait until a contact is free, and say so, once; at once if they are. Until then it is\nyou who waits: they are not told. With --leave this ends at once, and the node that\ngoes on running alerts you (`earshot alerts`).",
			example: "  earshot watch Bob && earshot send @Bob 'Now?'\n  earshot watch Bob --leave",
			flags: func(c *cobra.Command, o *options) {
				c.Flags().DurationVar(&o.patience, "timeout", 0, "give up after this `TIME`, with exit code 10 (default: never)")
				c.Flags().BoolVar(&o.leave, "leave", false, "do not wait: the running node alerts you")
			},
			slash: "watch", slashArgs: "person", say: sayWatch,
		},
		{
			name: "alerts", about: aboutFree, args: "[on|off | SETTING VALUE | TO LEVEL]", max: 2, run: runAlerts,
			complete: []completer{completeAlerts, completeWords(alertValues...)},
			short:    "Show or change what may interrupt you, and how",
			long: "Show or change what may interrupt you. Settings and their values:\n\n" +
				"  desktop on|off            notifications of the desktop\n" +
				"  bell on|off               the terminal's bell\n" +
				"  title on|off              the terminal's title shows what is unread\n" +
				"  preview text|name|nothing what a notification shows\n" +
				"  quiet 22:00-07:00|off     nothing alerts you between these times of day\n" +
				"  team-mentions on|off      a mention by your team gets through all the same\n\n" +
				"off alone turns desktop, bell and title off; on turns desktop on. LEVEL is for one\nconversation: all, mentions (what calls you), none, or usual, which is all for\ncontacts and private rooms, and mentions for open rooms. With `earshot status` at dnd\nor meeting nothing alerts you either.",
			example: "  earshot alerts quiet 22:00-07:00\n  earshot alerts lobby none\n  earshot alerts @Bob mentions",
		},
		{
			name: "profile", about: aboutPeople, args: "[PERSON]", max: 1, complete: contacts, run: runProfile,
			short: "Show what you tell of yourself, and whom; or what somebody tells you",
			long:  "Show your title, department, e-mail, location and phone, and who may see each; or what\nsomebody shows you of theirs. Nobody checks what people say of themselves.",
		},
		{
			name: "profile set", args: "PART=TEXT...", min: 1, max: -1, run: runSetProfile,
			complete: []completer{completeParts, completeParts, completeParts, completeParts, completeParts},
			short:    "Change what you tell of yourself, or whom",
			long: "Change what you tell of yourself: title, department, email, location, phone. PART= takes\na part away; PART alone, with --for, changes only who may see it. Without --for a part\nis for contacts, or for whom it was.\n\n" +
				"Each part is sent to those who may see it and to nobody else. Who has seen it may\nremember it.",
			example: "  earshot profile set title='Head of sales' department=Sales --for everyone\n  earshot profile set phone='+1 555 0100' --for groups:sales\n  earshot profile set email=ann@example.org",
			flags: func(c *cobra.Command, o *options) {
				c.Flags().StringVar(&o.audience, "for", "", "who may see it: everyone, contacts, nobody, or `groups:A,B`")
				_ = c.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(audiences, cobra.ShellCompDirectiveNoFileComp)) // fails for an unknown flag only
			},
		},
		{
			name: "group add", args: "NAME PERSON...", min: 2, max: -1, complete: inGroup, run: grouping(true),
			short:   "Put contacts into a group; only you see it",
			long:    "Put contacts into a group. `earshot people` lists contacts by group, and a group can be\nwho may see something (`earshot privacy presence groups:sales`). They do not learn of it.",
			example: "  earshot group add sales Bob Carol",
		},
		{
			name: "group remove", args: "NAME PERSON...", min: 2, max: -1, complete: inGroup, run: grouping(false),
			short: "Take contacts out of a group",
		},
		{name: "group list", run: runGroups, short: "List your groups, and who is in them"},
		{
			name: "team add", args: "PERSON", min: 1, max: 1, complete: contacts, run: teaming(true),
			short: "Let a contact's mentions through when nothing else may disturb you",
			long:  "Make a contact one of your team: when they call you (@ and your name), it gets through\ndo not disturb, meetings and quiet hours, as far as `earshot alerts team-mentions` is on.\nThey do not learn of it.",
		},
		{
			name: "team remove", args: "PERSON", min: 1, max: 1, complete: contacts, run: teaming(false),
			short: "Let do not disturb count for a contact again",
		},
		{name: "team list", run: runTeam, short: "List your team"},
	}
}

// states are what `earshot status` takes, as package chat calls them.
var states = func() (out []string) {
	for _, a := range chat.Availabilities {
		out = append(out, string(a))
	}
	return out
}()

func statusFlags(c *cobra.Command, o *options) {
	c.Flags().FuncP("message", "m", "show this `TEXT` beside your name; empty for none", func(s string) error {
		o.text = &s
		return nil
	})
	c.Flags().StringVar(&o.lasting, "for", "", "end it after this `TIME`, such as 45m, 1h or 2d")
	c.Flags().StringVar(&o.until, "until", "", "end it at this `TIME`, such as 14:00 or 2026-12-01T09:00")
	c.Flags().BoolVar(&o.clear, "clear", false, "be available, without a text")
}
