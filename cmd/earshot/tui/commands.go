package tui

import (
	"context"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// builtins are the slash commands that the interface itself carries out.
var builtins = []Command{
	{Name: "join", Args: "#room", Help: "join an open room, or begin it"},
	{Name: "leave", Help: "leave this room"},
	{Name: "chat", Args: "PERSON", Help: "write to a contact"},
	{Name: "add", Args: "PERSON", Help: "ask somebody to become a contact"},
	{Name: "requests", Help: "show what waits for you: requests and invitations"},
	{Name: "invitations", Help: "the same as /requests"},
	{Name: "contacts", Args: "[group|department|name]", Help: "show your contacts, and whom you have asked or blocked"},
	{Name: "status", Args: "[STATE]", Help: "show or choose whether you are free, and what you are doing"},
	{Name: "watch", Args: "[PERSON]", Help: "be told once when a contact is free"},
	{Name: "alerts", Help: "choose what may interrupt you, and how"},
	{Name: "profile", Help: "show and change what you tell of yourself"},
	{Name: "person", Args: "PERSON", Help: "show who somebody is: accept, verify, forget, block"},
	{Name: "verify", Args: "[PERSON]", Help: "make sure that a contact is who they say"},
	{Name: "block", Args: "PERSON", Help: "let nothing of somebody reach you"},
	{Name: "unblock", Args: "PERSON", Help: "make a blocked person a stranger again"},
	{Name: "forget", Args: "PERSON", Help: "make a contact a stranger again"},
	{Name: "create", Args: "#room", Help: "make a private room"},
	{Name: "invite", Args: "[PERSON]", Help: "ask a contact into this private room"},
	{Name: "members", Help: "show who is in this private room; remove, give roles"},
	{Name: "remove", Args: "PERSON", Help: "remove somebody from this private room"},
	{Name: "role", Args: "PERSON ROLE", Help: "make a member owner, admin or member"},
	{Name: "rename", Args: "[#name]", Help: "give this private room another name"},
	{Name: "topic", Args: "[TEXT]", Help: "say what this private room is about"},
	{Name: "disappear", Help: "choose how long messages last in this conversation"},
	{Name: "messages", Help: "choose a message, as F6 does: answer, react, edit, remove"},
	{Name: "unreadable", Help: "show why some messages can't be read here"},
	{Name: "privacy", Help: "choose what others may see of you"},
	{Name: "invisible", Args: "[on|off]", Help: "let nobody see that you are here"},
	{Name: "devices", Help: "show your devices; add or revoke one"},
	{Name: "help", Help: "show the keys and commands"},
	{Name: "quit", Help: "end Earshot"},
}

// withBuiltins returns the commands offered: the built-in ones, with what extra may
// bring for them, and then the rest of extra.
func withBuiltins(extra []Command) []Command {
	all := slices.Clone(builtins)
	for _, c := range extra {
		c.Name = strings.TrimPrefix(c.Name, "/")
		i := slices.IndexFunc(all, func(b Command) bool { return b.Name == c.Name })
		switch {
		case i < 0 && c.Run != nil:
			all = append(all, c)
		case i >= 0 && i < len(builtins):
			all[i].Args, all[i].Help, all[i].Run = c.Args, c.Help, c.Run
		}
	}
	return all
}

// parseCommand splits "/name args". Two slashes begin a message, and so does a
// slash with a space or a second slash in its first word, such as a path.
func parseCommand(text string) (name, args string, ok bool) {
	rest, ok := strings.CutPrefix(text, "/")
	if !ok || rest == "" {
		return "", "", false
	}
	name, args, _ = strings.Cut(rest, " ")
	if name == "" || strings.ContainsAny(name, "/\n\t") {
		return "", "", false
	}
	return strings.ToLower(name), strings.TrimSpace(args), true
}

// runCommand carries out a slash command. What can't be carried out stays in the
// input, with a sentence above it.
func (m *model) runCommand(c *conversation, name, args string) tea.Cmd {
	i := slices.IndexFunc(m.opt.Commands, func(cmd Command) bool { return cmd.Name == name })
	if i < 0 {
		m.say("There is no command /"+m.meter.cut(name, 24)+". F1 shows those there are; to send a line that begins with a slash, begin it with two.", true)
		return nil
	}
	cmd := m.opt.Commands[i]
	if cmd.Run != nil && (i >= len(builtins) || args != "") {
		c.in.set("")
		room := c.room.RoomID
		return m.call(sendTimeout, func(ctx context.Context) tea.Msg {
			text, err := cmd.Run(ctx, room, args)
			return ranMsg{"/" + name, text, err}
		})
	}
	do, problem := m.builtin(c, name, args)
	if problem != "" {
		m.say(problem, true)
		return nil
	}
	c.in.set("")
	return do()
}

// roomToJoin returns the name of an open room, or what is wrong with it.
func roomToJoin(s string) (name, problem string) {
	name, err := chat.CanonicalRoomName(strings.TrimSpace(s))
	if err != nil {
		return "", sentence(err)
	}
	return name, ""
}

// onJoined goes to the room that was joined.
func (m *model) onJoined(r joinedMsg) tea.Cmd {
	if r.err != nil {
		m.say(sentence(r.err), true)
		return nil
	}
	m.addRoom(r.room)
	cmd := m.enter(slices.Index(m.rooms, m.find(r.room.RoomID)))
	return tea.Batch(cmd, m.refresh())
}

// addRoom takes in a room that the node has just named.
func (m *model) addRoom(room chat.Room) {
	if m.find(room.RoomID) != nil {
		return
	}
	rooms := []chat.Room{room}
	for _, c := range m.rooms {
		rooms = append(rooms, c.room)
	}
	m.setRooms(rooms)
}

// completer goes through what a word may become, in both directions and back to
// the word as it was.
type completer struct {
	active  bool
	from    int      // where the word begins
	choices []string // the word itself first
	at      int
}

// complete finds what the word in front of the cursor may become: a command at
// the start of the line, a room after #, else a person.
func (m *model) complete(in *input) completer {
	text := in.text[:in.cur]
	from := strings.LastIndexAny(text, " \n\t") + 1
	word := text[from:]
	if word == "" {
		return completer{}
	}
	comp := completer{active: true, from: from, choices: []string{word}}
	add := func(s string) {
		if !slices.Contains(comp.choices, s) {
			comp.choices = append(comp.choices, s)
		}
	}
	switch {
	case word[0] == '/' && from == 0:
		for _, c := range m.opt.Commands {
			if strings.HasPrefix("/"+c.Name, strings.ToLower(word)) {
				add("/" + c.Name + " ")
			}
		}
	case word[0] == '#':
		for _, c := range m.rooms {
			if name := shownName(c.room.Room); strings.HasPrefix(fold(name), fold(word)) {
				add(name + " ")
			}
		}
	default:
		at := strings.HasPrefix(word, "@")
		prefix := fold(strings.TrimPrefix(word, "@"))
		people := m.who.list()
		for i := range people {
			p := &people[i]
			name := shownName(p.Name)
			if p.Me || !strings.HasPrefix(fold(name), prefix) {
				continue
			}
			switch {
			case at:
				add("@" + name + " ")
			case from == 0:
				add(name + ": ")
			default:
				add(name + " ")
			}
		}
	}
	return comp
}

// next puts the next choice in place of the word.
func (comp *completer) next(in *input, delta int) {
	n := len(comp.choices)
	if !comp.active || n < 2 {
		return
	}
	old := comp.choices[comp.at]
	comp.at = ((comp.at+delta)%n + n) % n
	in.cutRange(comp.from, comp.from+len(old))
	if !in.insert(comp.choices[comp.at]) {
		in.insert(old)
		comp.active = false
	}
}
