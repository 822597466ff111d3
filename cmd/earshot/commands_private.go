package main

import (
	"github.com/spf13/cobra"

	"earshot/chat"
)

// privateCommands are the rows of the table about what only chosen people can read:
// contacts, private rooms, one's own devices.
func privateCommands() []command {
	asking := []completer{completeIDs(chat.RelationAsking)}
	contacts := []completer{completeContacts}
	inRoom := []completer{completePrivateRooms, completeContacts}
	return []command{
		{
			name: "contacts", about: aboutPeople, run: runContacts, short: "List your contacts, and who asks to become one",
		},
		{
			name: "add", about: aboutPeople, args: "PERSON", min: 1, max: 1, run: runAdd,
			complete: []completer{completeIDs(chat.RelationStranger, chat.RelationAsking)},
			short:    "Ask somebody to become a contact",
			long:     "Ask somebody to become a contact, so that you can talk in private. They see your\nname and a short note, and nothing else of yours until they accept. Who has asked\nyou is accepted. PERSON is the id that `earshot people` shows, or its beginning:\na name finds contacts only.",
			example:  "  earshot add K7Q2LM --note 'Bob from the third floor'",
			flags: func(c *cobra.Command, o *options) {
				c.Flags().StringVar(&o.note, "note", "", "say `TEXT` with the request")
			},
		},
		{
			name: "accept", about: aboutPeople, args: "PERSON", min: 1, max: 1, complete: asking, run: accepting.run,
			short: "Accept somebody's request to become a contact",
			slash: "accept", slashArgs: "person, or #room", say: sayAccept,
		},
		{
			name: "decline", about: aboutPeople, args: "PERSON", min: 1, max: 1, complete: asking, run: declining.run,
			short: "Drop somebody's request; they are not told",
			slash: "decline", slashArgs: "person, or #room", say: sayDecline,
		},
		{
			name: "block", about: aboutPeople, args: "PERSON", min: 1, max: 1, complete: []completer{completeAnybody}, flags: yesFlag, run: blocking.run,
			short: "Hear nothing more from somebody, who sees you as away",
		},
		{
			name: "unblock", about: aboutPeople, args: "PERSON", min: 1, max: 1, complete: []completer{completeIDs(chat.RelationBlocked)}, run: unblocking.run,
			short: "Make a blocked person a stranger again",
		},
		{
			name: "forget", about: aboutPeople, args: "PERSON", min: 1, max: 1, complete: contacts, flags: yesFlag, run: forgetting.run,
			short: "Make a contact a stranger, or take back a request",
		},
		{
			name: "decide", about: aboutPeople, args: "PERSON same|other", min: 2, max: 2, flags: yesFlag, run: runDecide,
			complete: []completer{completeContacts, completeWords("same", "other")},
			short:    "Say whether a new key is a verified contact's, or somebody else's",
			long:     "When somebody with another root key goes by the name of a contact whom you have\nverified, nothing is sent to either until you have decided. Ask your contact, by\nvoice or face to face. `same`: they lost their keys and have new ones; the old\ncontact ends, the new one has to be verified again. `other`: somebody else has\nthat name.",
		},
		{
			name: "verify", about: aboutPeople, args: "PERSON [NUMBER|CODE]", min: 1, max: -1, complete: contacts, run: runVerify,
			short:   "Make sure that a contact is who they say, and nobody stands between you",
			long:    "Make sure that a contact is who they say, and that nobody stands between you. When\nboth run this at once, both see seven symbols, and compare them by voice or side\nby side. Who can't meet like that compares the 60 digits, which are the same for\nboth and never change, or gives here what the other one's device shows: the 60\ndigits, or the text of the QR code.",
			example: "  earshot verify Bob\n  earshot verify Bob 02719 83014 55718 (and so on, as their device shows it)",
		},
		{
			name: "privacy", about: aboutPeople, args: "[nearby|presence|typing|read WHO]", max: 2, run: runPrivacy,
			complete: []completer{completeWords("nearby", "presence", "typing", "read"), completeAudiences},
			short:    "Show or change who can see what of you",
			long:     "Show what others can see of you, or change it: whether you are here at all\n(nearby), whether you are free, and your status text (presence), when you are typing\n(typing), and how far you have read what they wrote (read). WHO is everyone,\ncontacts, nobody, or contacts in some of your groups (groups:sales,board); with\nnearby nobody, nothing reaches you or leaves. Blocked people see nothing, and\nstrangers never see you type. Your own node sends nothing to those who may not see\nit; who has seen it may remember it.",
			example:  "  earshot privacy presence groups:sales\n  earshot privacy except Bob read hide",
		},
		{
			name: "privacy except", args: "PERSON presence|typing|read show|hide|usual", min: 3, max: 3, run: runExcept,
			complete: []completer{completeAnybody, completeWords(exceptable...), completeWords("show", "hide", usual)},
			short:    "Let one person see more or less of you than others",
			long:     "Let one person see more (show) or less (hide) than `earshot privacy` says for others,\nor what others do (usual). Only a contact can be shown more. They are not told.",
		},
		{
			name: "invisible", about: aboutPeople, args: "on|off", min: 1, max: 1, complete: []completer{completeWords("on", "off")}, run: runInvisible,
			short: "Let nobody see you, or end that",
			long:  "Let nobody see that you are here, whatever `earshot privacy` says, or end that.\nMeanwhile nothing reaches you and nothing leaves: what you send waits.",
		},
		{
			name: "room create", args: "#ROOM", min: 1, max: 1, run: runCreate,
			short:   "Make a private room, which only those you invite can read",
			long:    "Make a private room, which only those who are invited can read. What newcomers can\nread of what was said before is set now, for good, and shown to all: none of it,\nwhat was said since they were invited, or all.",
			example: "  earshot room create '#plan' --history all\n  earshot room invite '#plan' Bob",
			flags: func(c *cobra.Command, o *options) {
				yesFlag(c, o)
				c.Flags().StringVar(&o.history, "history", chat.HistorySinceInvited, "what newcomers can read: none, since-invited or all")
				_ = c.RegisterFlagCompletionFunc("history", cobra.FixedCompletions([]string{chat.HistoryNone, chat.HistorySinceInvited, chat.HistoryAll}, cobra.ShellCompDirectiveNoFileComp)) // fails for an unknown flag only
			},
		},
		{
			name: "room invite", args: "#ROOM PERSON", min: 2, max: 2, complete: inRoom, run: runInvite,
			short: "Ask a contact into a private room",
			flags: func(c *cobra.Command, o *options) {
				c.Flags().StringVar(&o.role, "role", chat.RoleMember, "what they may do: member, admin or owner")
				_ = c.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(roles, cobra.ShellCompDirectiveNoFileComp)) // fails for an unknown flag only
			},
		},
		{
			name: "invitations", about: aboutTalk, run: runInvitations, short: "List the private rooms you are invited to",
		},
		{
			name: "room accept", args: "ROOM", min: 1, max: 1, complete: []completer{completeInvitations}, run: runAcceptRoom,
			short: "Accept an invitation to a private room",
		},
		{
			name: "room decline", args: "ROOM", min: 1, max: 1, complete: []completer{completeInvitations}, run: runDeclineRoom,
			short: "Decline an invitation to a private room",
		},
		{
			name: "room members", args: "#ROOM", min: 1, max: 1, complete: []completer{completePrivateRooms}, run: runMembers,
			short: "List who is in a private room, and who is invited",
		},
		{
			name: "room remove", args: "#ROOM PERSON", min: 2, max: 2, complete: inRoom, flags: yesFlag, run: runRemove,
			short: "Remove somebody from a private room, or take back an invitation",
		},
		{
			name: "room role", args: "#ROOM PERSON ROLE", min: 3, max: 3, run: runRole,
			complete: []completer{completePrivateRooms, completeContacts, completeWords(roles...)},
			short:    "Change what somebody may do in a private room",
			long:     "Change what somebody may do in a private room. A member talks; an admin also\ninvites, removes members and admins, and changes name and topic; an owner also\nchanges roles and removes anyone but the room's creator.",
		},
		{
			name: "room rename", args: "#ROOM NAME", min: 2, max: 2, complete: []completer{completePrivateRooms}, run: runRename,
			short: "Change the name of a private room",
		},
		{
			name: "room topic", args: "#ROOM [TEXT...]", min: 1, max: -1, complete: []completer{completePrivateRooms}, run: runTopic,
			short: "Say what a private room is about, or nothing",
		},
		{
			name: "device list", run: runDevices, short: "List your devices",
		},
		{
			name: "device add", run: runAddDevice, flags: yesFlag, short: "Show a code with which another machine becomes a device of yours",
			long: "Show a code with which another machine on this network becomes a device of yours:\nrun `earshot device join` there within five minutes, then confirm on both. The new\ndevice reads what you read and speaks as you, until you revoke it.",
		},
		{
			name: "device join", args: "CODE", min: 1, max: -1, run: runJoinDevice,
			short: "Make this home a device of the person whose device shows the code",
			long:  "Make this home a device of the person whose device shows the code: 8 digits, or the\ntext of its QR code. Run it where no node runs, on a home that is new: who this\nhome was before ends with it. Both devices have to confirm.",
			flags: func(c *cobra.Command, o *options) {
				yesFlag(c, o)
				c.Flags().StringVar(&o.label, "label", "", "call this device `NAME` (default its host name)")
			},
		},
		{
			name: "device revoke", args: "DEVICE", min: 1, max: 1, complete: []completer{completeDevices}, flags: yesFlag, run: runRevoke,
			short: "Part with a device of yours, for good: lost, stolen or sold",
		},
	}
}

var roles = []string{chat.RoleMember, chat.RoleAdmin, chat.RoleOwner}

func yesFlag(c *cobra.Command, o *options) {
	c.Flags().BoolVar(&o.yes, "yes", false, "do it without asking")
}
