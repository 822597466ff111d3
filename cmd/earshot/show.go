package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/phrase"
	"earshot/cmd/earshot/wording"
	"earshot/node/api/client"
)

// lookRound is how long `people` waits for others when it started the node itself;
// peopleQuiet is how long nobody new may have appeared for it to end before.
const (
	lookRound   = 1500 * time.Millisecond
	peopleQuiet = 400 * time.Millisecond
)

// with runs f in a session, which ends with it.
func (a *app) with(ctx context.Context, need need, f func(*session) error) (err error) {
	closeLog, err := a.quietLog()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	s, err := a.open(ctx, need)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return f(s)
}

func runMe(ctx context.Context, a *app, _ []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		me, err := s.Me(ctx)
		if err != nil {
			return err
		}
		if a.p.json {
			return a.p.object(me)
		}
		return a.p.fields(meFields(me, s.mine() == nil))
	})
}

// meFields puts Me in words. running says that a node runs beside this command.
func meFields(me chat.Me, running bool) [][2]string {
	reach := strings.Join(me.Addresses, "\n")
	switch {
	case !running:
		reach = "nowhere now: no node is running"
	case reach == "":
		reach = "nowhere now: the node is offline"
	}
	kept := "encrypted, but not protected: who can read the home can read your keys and\nhistory. Protect them with: earshot passphrase"
	if me.Protected {
		kept = "encrypted and protected"
	}
	rows := [][2]string{
		{"Name", me.Name},
		{"Person", me.Person.String()},
		{"Device", me.Device.String()},
		{"Home", me.Home},
		{"Kept", kept},
		{"Reached at", reach},
	}
	if len(me.Networks) > 0 {
		rows = append(rows, [2]string{"Networks", strings.Join(me.Networks, ", ")})
	}
	for _, w := range me.Warnings {
		rows = append(rows, [2]string{"Warning", w.Error()})
	}
	return rows
}

func sayMe(ctx context.Context, c *client.Client, _, _ string) (string, error) {
	me, err := c.Me(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("You are %s, person %s, on port %d.", me.Name, me.Person, me.Port), nil
}

// waitForPeople gives others time to be found.
func waitForPeople(ctx context.Context, c *client.Client) error {
	wait, cancel := context.WithTimeout(ctx, lookRound)
	defer cancel()
	stream := c.Events(wait, client.EventsFrom{})
	defer stream.Close()
	quiet := time.AfterFunc(lookRound, cancel)
	defer quiet.Stop()
	for {
		e, err := stream.Next(wait)
		if err != nil {
			return ctx.Err() // the wait being over is no error
		}
		if p, ok := e.(chat.PersonEvent); ok && !p.Me && p.Presence == chat.Here {
			quiet.Reset(peopleQuiet)
		}
	}
}

// findPeople returns those with this name, or this id or beginning of one.
func findPeople(people []chat.Person, ref string) []chat.Person {
	var out []chat.Person
	for _, p := range people {
		if meantBy(ref, p.Name, p.Person) {
			out = append(out, p)
		}
	}
	return out
}

// meantBy reports whether ref is the name of somebody, with or without the id that
// may stand behind it, or their id, or at least 6 characters of its beginning.
func meantBy(ref, name string, id chat.PersonID) bool {
	plain := func(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "-", "")) }
	begins := plain(ref)
	if len(begins) >= 6 && strings.HasPrefix(plain(id.String()), begins) || strings.EqualFold(name, ref) {
		return true
	}
	bare, rest, ok := strings.Cut(name, " (")
	return ok && strings.EqualFold(bare, ref) && strings.HasPrefix(id.String(), strings.TrimSuffix(rest, ")"))
}

// state is how a person is, for one place in a table.
func (p *printer) state(who chat.Person) string {
	if who.Me {
		return "you"
	}
	return phrase.Person(who, p.now().In(p.zone))
}

func peopleFields(pr *printer, people []chat.Person) [][2]string {
	var rows [][2]string
	for _, p := range people {
		rows = append(rows, [2]string{"Name", p.Name}, [2]string{"Person", p.Person.String()})
		rows = append(rows, pr.stateFields(p)...)
		if p.Relation != "" {
			rows = append(rows, [2]string{"Relation", relation(p)})
		}
		rows = append(rows, profileFields(p.Profile)...)
		if len(p.Groups) > 0 {
			rows = append(rows, [2]string{"Groups", cell(strings.Join(p.Groups, ", "))})
		}
		if p.Team {
			rows = append(rows, [2]string{"Team", "yes: their mentions get through"})
		}
		if p.Watched {
			rows = append(rows, [2]string{"Watched", "you are told when they are free"})
		}
		for _, d := range p.Devices {
			rows = append(rows, [2]string{"Device", strings.TrimSpace(d.Device.String() + " " + deviceState(pr, d) + "\n" + d.Address)})
		}
	}
	return rows
}

// deviceState is how a device is.
func deviceState(pr *printer, d chat.Device) string {
	return phrase.Person(chat.Person{Presence: d.Presence, LastSeen: d.LastSeen, Status: chat.Status{State: d.State}}, pr.now().In(pr.zone))
}

func sayPeople(ctx context.Context, c *client.Client, _, name string) (string, error) {
	people, err := c.People(ctx)
	if err != nil {
		return "", err
	}
	if name != "" {
		people = findPeople(people, name)
		if len(people) == 0 {
			return "", chat.Errorf(chat.CodeNotFound, "Nobody here is called %q. /people lists whom you have met.", name)
		}
	}
	var words []string
	for _, p := range people {
		switch {
		case p.Me:
			words = append(words, p.Name+" (you, "+p.Person.Short()+")")
		default:
			word := p.Name + " (" + phrase.Person(p, time.Now()) + ", "
			if p.Relation != "" {
				word += relation(p) + ", "
			}
			words = append(words, word+p.Person.Short()+")")
		}
	}
	return strings.Join(words, "; ") + ".", nil
}

func runRooms(ctx context.Context, a *app, _ []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		rooms, err := s.Rooms(ctx)
		if err != nil {
			return err
		}
		var rows [][]string
		names := roomNames(rooms)
		for _, r := range rooms {
			if a.p.json {
				if err := a.p.object(r); err != nil {
					return err
				}
				continue
			}
			last := "nothing yet"
			if !r.LastAt.IsZero() {
				last = a.p.stamp(r.LastAt)
			}
			rows = append(rows, []string{names[r.RoomID], fmt.Sprint(r.Unread), last, readBy(r)})
		}
		if a.p.json {
			return nil
		}
		return a.p.table([]string{"ROOM", "UNREAD", "LAST", "READ BY"}, rows, "You are in no room.")
	})
}

// roomNames returns how each room is called beside the others: those that share a
// name bear the beginning of their ids. A room that was left gives way to one that
// was not, as it does when a name is looked up.
func roomNames(rooms []chat.Room) map[chat.RoomID]string {
	all, in := map[string]int{}, map[string]int{}
	for _, r := range rooms {
		if all[r.Room]++; !r.Left {
			in[r.Room]++
		}
	}
	out := map[chat.RoomID]string{}
	for _, r := range rooms {
		out[r.RoomID] = cell(r.Room)
		if in[r.Room] > 1 || r.Left && all[r.Room] > 1 {
			out[r.RoomID] += " (" + r.RoomID.Short() + ")"
		}
	}
	return out
}

func sayRooms(ctx context.Context, c *client.Client, _, _ string) (string, error) {
	rooms, err := c.Rooms(ctx)
	if err != nil {
		return "", err
	}
	var words []string
	names := roomNames(rooms)
	for _, r := range rooms {
		if r.Left {
			continue
		}
		words = append(words, fmt.Sprintf("%s (%d unread)", names[r.RoomID], r.Unread))
	}
	return strings.Join(words, ", ") + ".", nil
}

func runJoin(ctx context.Context, a *app, args []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		room, err := s.Join(ctx, args[0])
		if err != nil {
			return err
		}
		if a.p.json {
			return a.p.object(room)
		}
		return a.p.line("You are in %s. Anyone on this network who knows its name can read it.", cell(room.Room))
	})
}

func runHistory(ctx context.Context, a *app, args []string) error {
	if a.opt.newest < 1 {
		return chat.Errorf(chat.CodeUsage, "-n %d shows nothing. Give a number from 1.", a.opt.newest)
	}
	var before chat.EntryID
	if a.opt.before != "" {
		var err error
		if before, err = chat.ParseEntryID(a.opt.before); err != nil {
			return err
		}
	}
	a.p.ids = a.opt.ids
	return a.with(ctx, need{}, func(s *session) error {
		messages, err := newest(ctx, s.Client, args[0], a.opt.newest, before)
		if err != nil {
			return err
		}
		missing, err := s.Missing(ctx, args[0])
		switch chat.CodeOf(err) {
		case "", chat.CodeNotJoined, chat.CodeNotFound: // nothing comes any more where one takes part no more
		default:
			return err
		}
		me, err := s.Me(ctx)
		if err != nil {
			return err
		}
		a.p.me = &me.Person
		for _, m := range messages {
			if err := a.p.message(m, false); err != nil {
				return err
			}
		}
		if len(messages) == 0 {
			a.p.note("Nothing has been said there yet.")
		}
		for _, m := range missing {
			a.p.note("%s.", cell(wording.Missing(m, m.From.Name)))
		}
		return nil
	})
}

// newest returns the n newest messages of a room before one, oldest first.
func newest(ctx context.Context, c *client.Client, room string, n int, before chat.EntryID) ([]chat.Message, error) {
	var pages [][]chat.Message
	for n > 0 {
		page, err := c.Messages(ctx, room, client.Page{Before: before, Limit: min(n, client.MaxPage)})
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			break
		}
		pages = append(pages, page)
		n -= len(page)
		before = page[0].ID
	}
	var out []chat.Message
	for i := len(pages) - 1; i >= 0; i-- {
		out = append(out, pages[i]...)
	}
	return out, nil
}

// release is set when a release is built: -ldflags "-X main.release=v1.2.3".
var release string

// version says which program this is.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	return v
}

func runVersion(_ context.Context, a *app, _ []string) error {
	v := map[string]string{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
	if a.p.json {
		return a.p.object(v)
	}
	return a.p.line("earshot %s (%s, %s)", v["version"], v["platform"], v["go"])
}
