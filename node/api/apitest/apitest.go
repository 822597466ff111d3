// Package apitest stands in for a running node where a face or the local API is
// tested: an api.Backend that keeps everything in memory. It knows no network and
// no disk, and no rule of conversation beyond what its callers can see.
package apitest

import (
	"context"
	"crypto/rand"
	"io"
	"slices"
	"sync"
	"time"

	"earshot/chat"
	"earshot/node/api"
	"earshot/node/feed"
)

// Node is a Backend in memory. Make one with New; its methods may be used from
// many goroutines. What other people do is told to it by methods that no Backend
// has: Appear, Ask, Hear and so on.
type Node struct {
	feed *feed.Feed

	mu          sync.Mutex
	me          chat.Me
	people      []chat.Person
	contacts    map[chat.PersonID]*chat.Contact
	privacy     chat.Privacy
	compared    map[chat.PersonID]*chat.Verification
	rooms       []*room
	left        []*room // that this person takes part in no more
	invitations []*room // as they will be once accepted
	devices     []chat.OwnDevice
	pairing     *pairing
	facts       []chat.Event            // by cursor, from 1; nil where a newer one took its place
	byID        map[string]chat.EntryID // by client id
	stories     map[chat.EntryID]*story
	typing      []chat.TypingEvent
	viewed      []chat.RoomID
	kept        chat.Keeper
	status      chat.OwnStatus
	profile     chat.OwnProfile
	alerts      chat.Alerts
	fail        error
}

var _ api.Backend = (*Node)(nil)

type room struct {
	chat.Room
	messages []chat.Message
	missing  []chat.Missing
	members  []chat.Member // of a private room
	invited  time.Time     // of an invitation: when, and by whom
	by       chat.Author
}

// New returns a node of a person with this name who is in the lobby.
func New(name string) *Node {
	me := chat.Me{Name: name, Home: "/home/of/" + name, Version: "test", Port: 9327, Addresses: []string{"/ip4/127.0.0.1/tcp/9327"}}
	_, _ = rand.Read(me.Person[:]) // never fails
	_, _ = rand.Read(me.Device[:])
	n := &Node{
		me: me, feed: feed.New(0), byID: map[string]chat.EntryID{}, stories: map[chat.EntryID]*story{},
		contacts: map[chat.PersonID]*chat.Contact{}, compared: map[chat.PersonID]*chat.Verification{},
		privacy: chat.Privacy{Nearby: chat.Everyone, Presence: chat.OnlyContacts, Typing: chat.OnlyContacts, Read: chat.OnlyContacts},
		status:  chat.OwnStatus{Status: chat.Status{State: chat.Available, Since: time.Now().UTC()}, Chosen: chat.Available},
		alerts:  chat.Alerts{Desktop: true, Preview: chat.PreviewText, TeamMentions: true},
		devices: []chat.OwnDevice{{Device: me.Device, Label: "this machine", This: true, Presence: chat.Here}},
	}
	n.people = []chat.Person{{
		Person: me.Person, Name: name, Me: true, Presence: chat.Here, Status: n.status.Status,
		Devices: []chat.Device{{Device: me.Device, Presence: chat.Here}},
	}}
	n.join(chat.Lobby)
	return n
}

// Fail makes every later call but Feed fail with err; nil ends that.
func (n *Node) Fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fail = err
}

// Typing returns every typing notice that was set.
func (n *Node) Typing() []chat.TypingEvent {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.typing)
}

// Appear makes a person known and here, and returns them as an author.
func (n *Node) Appear(name string) chat.Author {
	a := chat.Author{Name: name}
	_, _ = rand.Read(a.Person[:])
	_, _ = rand.Read(a.Device[:])
	p := chat.Person{
		Person: a.Person, Name: name, Relation: chat.RelationStranger, Presence: chat.Here, LastSeen: time.Now().UTC(),
		Devices: []chat.Device{{Device: a.Device, Presence: chat.Here, LastSeen: time.Now().UTC(), Address: "/ip4/127.0.0.2/tcp/9327"}},
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.people = append(n.people, p)
	n.feed.Publish(chat.PersonEvent{Person: p})
	return a
}

// Depart makes a person known as gone.
func (n *Node) Depart(who chat.PersonID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.change(who, func(p *chat.Person) {
		p.Presence = chat.Gone
		for i := range p.Devices {
			p.Devices[i].Presence, p.Devices[i].Address = chat.Gone, ""
		}
	})
}

// change changes what is known of a person and tells. n.mu is held.
func (n *Node) change(who chat.PersonID, f func(*chat.Person)) {
	i := slices.IndexFunc(n.people, func(p chat.Person) bool { return p.Person == who })
	if i < 0 {
		panic("apitest: nobody is " + who.String())
	}
	p := n.people[i]
	p.Devices = slices.Clone(p.Devices)
	f(&p)
	n.people[i] = p
	n.feed.Publish(chat.PersonEvent{Person: p})
}

// Hear stores a message of somebody else, as if it came from the network. A room
// is named as by FindRoom, such as "#tea" or "@Bob".
func (n *Node) Hear(from chat.Author, roomName, text string) chat.Message {
	return n.HearDraft(from, roomName, chat.Draft{Text: text})
}

// Publish puts an event of weather into the feed.
func (n *Node) Publish(e chat.Event) { n.feed.Publish(e) }

// store commits a message, then broadcasts it. n.mu is held.
func (n *Node) store(r *room, from chat.Author, d chat.Draft, at time.Time) chat.Message {
	var id chat.EntryID
	_, _ = rand.Read(id[:]) // never fails
	return n.put(r, id, from, d, at)
}

// put is store for a message that has an id.
func (n *Node) put(r *room, id chat.EntryID, from chat.Author, d chat.Draft, at time.Time) chat.Message {
	m := chat.Message{
		ID: id, Room: r.Room.Room, RoomID: r.RoomID, From: from, Text: chat.CleanText(d.Text),
		SentAt: at, ReceivedAt: time.Now().UTC(), Mine: from.Person == n.me.Person,
		ReplyTo: d.ReplyTo, Mentions: n.called(r, d),
	}
	m.MentionsMe = slices.Contains(m.Mentions, n.me.Person)
	if r.DisappearAfter > 0 {
		m.ExpiresAt = at.Add(time.Duration(r.DisappearAfter) * time.Second)
	}
	i := r.place(at)
	if !m.Mine {
		r.Unread++
		m.Late = r.ReadUpTo != nil && i <= slices.IndexFunc(r.messages, func(o chat.Message) bool { return o.ID == *r.ReadUpTo })
		if m.MentionsMe {
			r.Mentions++
		}
	}
	r.messages = slices.Insert(r.messages, i, m)
	if i == len(r.messages)-1 {
		r.LastAt = at
	}
	if m.Mine {
		n.addressed(r, id)
	}
	n.record(func(c chat.Cursor) chat.Event { return chat.MessageEvent{Cursor: c, Message: m} })
	return m
}

// record stores a fact under the next cursor and broadcasts it.
func (n *Node) record(fact func(chat.Cursor) chat.Event) {
	e := fact(chat.Cursor(len(n.facts) + 1))
	n.facts = append(n.facts, e)
	n.feed.Publish(e)
}

// join is JoinRoom for a canonical name. n.mu is held, or n is not shared yet.
func (n *Node) join(name string) *room {
	id := chat.OpenRoom(name)
	if r, err := n.byRoomID(id); err == nil {
		return r
	}
	return n.enter(&room{Room: chat.Room{Room: name, RoomID: id, Kind: chat.RoomOpen, Open: true}})
}

// enter adds a room and tells; of one that was left, what was said is there again.
// n.mu is held.
func (n *Node) enter(r *room) *room {
	if i := slices.IndexFunc(n.left, func(o *room) bool { return o.RoomID == r.RoomID }); i >= 0 {
		r.messages = n.left[i].messages
		n.left = slices.Delete(n.left, i, i+1)
	}
	n.rooms = append(n.rooms, r)
	n.fact(r, true)
	return r
}

// exit ends taking part in a room, for a reason, and tells. n.mu is held.
func (n *Node) exit(r *room, why string) {
	n.rooms = slices.DeleteFunc(n.rooms, func(o *room) bool { return o == r })
	r.Left, r.Ended, r.Role = true, why, ""
	n.left = append(n.left, r)
	n.fact(r, false)
}

func (n *Node) fact(r *room, joined bool) {
	n.record(func(c chat.Cursor) chat.Event {
		return chat.RoomEvent{Cursor: c, Room: r.Room.Room, RoomID: r.RoomID, Joined: joined, At: time.Now().UTC()}
	})
}

func (n *Node) byRoomID(id chat.RoomID) (*room, error) {
	for _, r := range n.rooms {
		if r.RoomID == id {
			return r, nil
		}
	}
	return nil, chat.Errorf(chat.CodeNotJoined, "You are not in that room. Join it with `earshot room join`.")
}

// readable returns a room that this person is or was in.
func (n *Node) readable(id chat.RoomID) (*room, error) {
	for _, r := range n.left {
		if r.RoomID == id {
			return r, nil
		}
	}
	return n.byRoomID(id)
}

// Me implements api.Backend, as do the methods below.
func (n *Node) Me(context.Context) (chat.Me, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.me, n.fail
}

func (n *Node) People(context.Context) ([]chat.Person, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.people), n.fail
}

func (n *Node) Rooms(context.Context) ([]chat.Room, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var rooms []chat.Room
	for _, r := range slices.Concat(n.rooms, n.left) {
		rooms = append(rooms, r.Room)
	}
	return rooms, n.fail
}

func (n *Node) FindRoom(_ context.Context, ref string) (chat.Room, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return chat.Room{}, n.fail
	}
	r, err := n.find(ref)
	if err != nil {
		return chat.Room{}, err
	}
	return r.Room, nil
}

func (n *Node) JoinRoom(_ context.Context, name string) (chat.Room, error) {
	name, err := chat.CanonicalRoomName(name)
	if err != nil {
		return chat.Room{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return chat.Room{}, n.fail
	}
	return n.join(name).Room, nil
}

func (n *Node) LeaveRoom(_ context.Context, id chat.RoomID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.byRoomID(id)
	if err != nil || n.fail != nil {
		return firstOf(n.fail, err)
	}
	if r.Room.Room == chat.Lobby {
		return chat.Errorf(chat.CodeDenied, "Everybody is in %s. Leave other rooms.", chat.Lobby)
	}
	n.exit(r, "You left.")
	return nil
}

func (n *Node) Send(_ context.Context, id chat.RoomID, d chat.Draft) (chat.Message, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.byRoomID(id)
	switch {
	case n.fail != nil || err != nil:
		return chat.Message{}, firstOf(n.fail, err)
	case n.maySend(r) != nil:
		return chat.Message{}, n.maySend(r)
	case checkText(d.Text) != nil:
		return chat.Message{}, checkText(d.Text)
	}
	if id, ok := n.byID[d.ClientID]; ok && d.ClientID != "" {
		_, m, _ := n.must(id)
		return n.whole(*m), nil
	}
	if d.ReplyTo != nil && !slices.ContainsFunc(r.messages, func(m chat.Message) bool { return m.ID == *d.ReplyTo }) {
		return chat.Message{}, chat.Errorf(chat.CodeNotFound, "The message that this answers is not in %s. See `earshot history`.", r.Room.Room)
	}
	m := n.store(r, chat.Author{Person: n.me.Person, Name: n.me.Name, Device: n.me.Device}, d, time.Now().UTC())
	n.byID[d.ClientID] = m.ID
	return n.whole(m), nil
}

// checkText reports why a text can't be sent.
func checkText(text string) error {
	switch {
	case len(text) > chat.MaxText:
		return chat.Errorf(chat.CodeTooLong, "The text has %d bytes and may have %d. Send it in parts.", len(text), chat.MaxText)
	case chat.CleanText(text) == "":
		return chat.Errorf(chat.CodeEmpty, "There is nothing to send. Give some text.")
	}
	return nil
}

func (n *Node) Messages(_ context.Context, id chat.RoomID, page api.Page) ([]chat.Message, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.readable(id)
	if err != nil || n.fail != nil {
		return nil, firstOf(n.fail, err)
	}
	index := func(id chat.EntryID) int {
		return slices.IndexFunc(r.messages, func(m chat.Message) bool { return m.ID == id })
	}
	from, to := max(0, len(r.messages)-page.Limit), len(r.messages)
	switch {
	case !page.Before.IsZero():
		to = index(page.Before)
		from = max(0, to-page.Limit)
	case !page.After.IsZero():
		from = index(page.After) + 1
		to = min(from+page.Limit, len(r.messages))
		if from == 0 {
			to = -1
		}
	}
	if to < 0 {
		return nil, chat.Errorf(chat.CodeNotFound, "That message is not in %s. See `earshot history`.", r.Room.Room)
	}
	out := slices.Clone(r.messages[from:to])
	for i := range out {
		out[i] = n.whole(out[i])
	}
	return out, nil
}

func (n *Node) SetTyping(_ context.Context, id chat.RoomID, typing bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.byRoomID(id)
	if err != nil || n.fail != nil {
		return firstOf(n.fail, err)
	}
	n.typing = append(n.typing, chat.TypingEvent{Room: r.Room.Room, RoomID: id, Typing: typing})
	return nil
}

func (n *Node) MarkRead(_ context.Context, id chat.RoomID, upTo chat.EntryID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.readable(id)
	if err != nil || n.fail != nil {
		return firstOf(n.fail, err)
	}
	i := slices.IndexFunc(r.messages, func(m chat.Message) bool { return m.ID == upTo })
	if i < 0 {
		return chat.Errorf(chat.CodeNotFound, "That message is not in %s. See `earshot history`.", r.Room.Room)
	}
	r.ReadUpTo, r.Unread, r.Mentions = &upTo, 0, 0
	for k := range r.messages {
		switch m := &r.messages[k]; {
		case k <= i:
			m.Late = false
		case !m.Mine:
			if r.Unread++; m.MentionsMe {
				r.Mentions++
			}
		}
	}
	n.feed.Publish(chat.ReadEvent{Room: r.Room.Room, RoomID: id, Unread: r.Unread, ReadUpTo: &upTo})
	return nil
}

func (n *Node) Backup(_ context.Context, passphrase string, w io.Writer) error {
	if passphrase == "" {
		return chat.Errorf(chat.CodeUsage, "A backup needs a passphrase. Choose one.")
	}
	_, err := io.WriteString(w, "a backup under "+passphrase)
	return err
}

func (n *Node) Facts(_ context.Context, after chat.Cursor, limit int) ([]chat.Event, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []chat.Event
	for _, e := range n.facts[min(int(after), len(n.facts)):] {
		switch e := e.(type) {
		case nil:
			continue
		case chat.MessageEvent:
			if _, m, _ := n.at(e.ID); m != nil {
				e.Message = *m // as it is now
			}
			out = append(out, e)
		default:
			out = append(out, e)
		}
		if len(out) == limit {
			break
		}
	}
	return out, n.fail
}

func (n *Node) Feed() *feed.Feed { return n.feed }

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
