package node

import (
	"context"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/membership"
	"earshot/chat/private"
	"earshot/node/store"
)

// This file is what faces see of rooms, and what people do about sealed ones.

// settleRoom tells the store and faces how a sealed room is now, where that has
// changed.
func (w *change) settleRoom(id chat.RoomID) {
	c := w.c
	info, ok := c.private.Info(id)
	if !ok {
		info = private.Info{Room: id}
	}
	row, had := c.rows[id]
	next := row
	next.Room, next.Joined, next.At = id, info.Entered, c.now
	if ok {
		next.Kind, next.Name, next.Topic, next.Person = chat.RoomPrivate, roomName(info), info.Topic, nil
		if info.Direct {
			next.Kind, next.Name, next.Person = chat.RoomDirect, "@"+c.displayName(info.With), &info.With
		}
	}
	if (had || next.Joined) && !sameRoom(row, next) {
		w.batch.Rooms = append(w.batch.Rooms, next)
		c.rows[id] = next
		c.names[id] = next.Name
	}
	w.settleInvitation(info)
	told := c.told[id]
	w.settleRules(told, info)
	if c.told[id] = info; !ok {
		delete(c.told, id)
	}
	if told.Entered {
		if what := c.difference(told, info); what != "" {
			w.weather = append(w.weather, chat.RoomChangedEvent{Room: c.faceRoom(store.RoomRow{
				Room: id, Name: next.Name, Kind: next.Kind, Person: next.Person, Topic: next.Topic, Joined: next.Joined,
			}), Members: c.members(info), What: what})
		}
	}
	w.shared = append(w.shared, id)
}

// sameRoom reports whether the store need not be told of a room again.
func sameRoom(a, b store.RoomChange) bool {
	a.At, a.Person = b.At, b.Person // whom a chat is with never changes
	return a == b
}

// roomName returns how a private room is shown.
func roomName(info private.Info) string {
	if info.Name == "" { // the operation that names it has not come yet
		return "#" + info.Room.Short()
	}
	return "#" + info.Name
}

// settleInvitation tells faces of an invitation that came or is no more.
func (w *change) settleInvitation(info private.Info) {
	c := w.c
	old, had := c.invitations[info.Room]
	if info.Invitation == nil || c.hidden(info.Invitation.By) {
		if had {
			delete(c.invitations, info.Room)
			w.weather = append(w.weather, chat.InvitationEvent{Invitation: old, Gone: true})
		}
		return
	}
	inv := chat.Invitation{
		RoomID: info.Room, Room: roomName(info), By: chat.Author{Person: info.Invitation.By, Name: c.displayName(info.Invitation.By)},
		Role: info.Invitation.Role.String(), Members: len(info.Members), History: info.History.String(),
		At: minTime(info.InvitedAt.Time(), c.now).UTC(),
	}
	if !had || inv != old {
		c.invitations[info.Room] = inv
		w.weather = append(w.weather, chat.InvitationEvent{Invitation: inv})
	}
}

// invitationsOf shows the invitations by somebody, or no more, after they were blocked
// or unblocked.
func (c *core) invitationsOf(who chat.PersonID) {
	if !c.started {
		return
	}
	w := c.begin(nil)
	for _, info := range c.private.Infos() {
		if i := info.Invitation; i != nil && i.By == who {
			w.touch(info.Room)
		}
	}
	w.end()
}

// difference says in a sentence's end what has changed in a room; "" for nothing that
// faces show.
func (c *core) difference(old, now private.Info) string {
	var said []string
	say := func(who chat.PersonID, what string) { said = append(said, c.displayName(who)+" "+what) }
	if r := now.Removed; r != nil && !now.Entered {
		if r.By == c.n.person {
			return "you have left"
		}
		return "you were removed by " + c.displayName(r.By)
	}
	if old.Name != now.Name {
		said = append(said, "the room is called "+roomName(now)+" now")
	}
	if old.Topic != now.Topic {
		said = append(said, "the topic is new")
	}
	if old.Disappear != now.Disappear || old.Keep != now.Keep {
		said = append(said, howLong(content.Setting{Disappear: now.Disappear, Keep: now.Keep}))
	}
	for _, m := range now.Members {
		was, ok := memberOf(old, m.Person)
		switch {
		case !ok:
			say(m.Person, "has joined")
		case was.Role != m.Role:
			say(m.Person, "is "+m.Role.String()+" now")
		}
	}
	for _, i := range now.Invited {
		if !slices.ContainsFunc(old.Invited, func(was membership.Invited) bool { return was.Person == i.Person }) {
			say(i.Person, "was invited")
		}
	}
	for _, m := range old.Members {
		if _, ok := memberOf(now, m.Person); !ok {
			say(m.Person, "is not in the room any more")
		}
	}
	for _, i := range old.Invited {
		_, in := memberOf(now, i.Person)
		if !in && !slices.ContainsFunc(now.Invited, func(is membership.Invited) bool { return is.Person == i.Person }) {
			say(i.Person, "is not invited any more")
		}
	}
	return strings.Join(said, ", ")
}

func memberOf(info private.Info, who chat.PersonID) (membership.Member, bool) {
	for _, m := range info.Members {
		if m.Person == who {
			return m, true
		}
	}
	return membership.Member{}, false
}

// members returns who is in a sealed room, those invited last.
func (c *core) members(info private.Info) []chat.Member {
	out := []chat.Member{}
	for _, m := range info.Members {
		face := chat.Member{Person: m.Person, Name: c.displayName(m.Person), Me: m.Person == c.n.person}
		if !info.Direct {
			face.Role = m.Role.String()
		}
		out = append(out, face)
	}
	for _, i := range info.Invited {
		out = append(out, chat.Member{
			Person: i.Person, Name: c.displayName(i.Person), Role: i.Role.String(), Me: i.Person == c.n.person, Invited: true, By: &i.By,
		})
	}
	return out
}

// faceRoom returns what faces are told of a room.
func (c *core) faceRoom(r store.RoomRow) chat.Room {
	out := chat.Room{
		Room: r.Name, RoomID: r.Room, Kind: r.Kind, Open: r.Kind == chat.RoomOpen, Person: r.Person, Topic: r.Topic,
		Unread: r.Unread, Unreadable: r.Unreadable, LastAt: r.LastAt, ReadUpTo: r.ReadUpTo, Left: !r.Joined,
		Mentions: r.Mentions, DisappearAfter: int64(c.keeping[r.Room].Disappear / time.Second), KeepFor: int64(c.keeping[r.Room].Keep / time.Second),
	}
	out.Alerts = c.alerts.engine.Level(r.Room, r.Kind)
	info, ok := c.private.Info(r.Room)
	if out.Left {
		out.Ended = c.whyLeft(r, info)
	}
	if ok && r.Kind.Sealed() {
		out.Members = len(info.Members)
		if !info.Direct {
			out.History = info.History.String()
			if info.Role != 0 {
				out.Role = info.Role.String()
			}
		}
	}
	return out
}

// whyLeft says why this person is in a room no more.
func (c *core) whyLeft(r store.RoomRow, info private.Info) string {
	switch {
	case r.Kind == chat.RoomDirect && r.Person != nil && c.maySend(*r.Person) == nil:
		return "This chat ended when " + c.displayName(*r.Person) + " was no contact for a while."
	case r.Kind == chat.RoomDirect && r.Person != nil:
		return c.displayName(*r.Person) + " is no contact any more."
	case info.Removed != nil && info.Removed.By != c.n.person:
		return c.displayName(info.Removed.By) + " removed you."
	}
	return "You left."
}

// sealed reports whether a room is or was a sealed one.
func (c *core) sealed(id chat.RoomID) bool {
	_, known := c.rows[id]
	return known || c.rooms.Sealed(id)
}

// roomRow returns what the store knows of a room, nil if that is nothing.
func (n *Node) roomRow(ctx context.Context, id chat.RoomID) (*store.RoomRow, error) {
	rows, err := n.store.Rooms(ctx)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if rows[i].Room == id {
			return &rows[i], nil
		}
	}
	return nil, nil
}

// Rooms returns the rooms this node is in, in the order of joining, and then those
// it has left.
func (n *Node) Rooms(ctx context.Context) ([]chat.Room, error) {
	rows, err := n.store.Rooms(ctx)
	if err != nil {
		return nil, err
	}
	out := []chat.Room{}
	err = n.do(ctx, func(c *core) {
		for _, r := range rows {
			out = append(out, c.faceRoom(r))
		}
	})
	slices.SortStableFunc(out, func(a, b chat.Room) int {
		switch {
		case a.Left == b.Left:
			return 0
		case a.Left:
			return 1
		}
		return -1
	})
	return out, err
}

// DirectChat returns the chat with a contact.
func (n *Node) DirectChat(ctx context.Context, who chat.PersonID) (chat.Room, error) {
	if err := n.handOver(ctx, func(w *change) {
		w.life = w.c.life // waits for what opens the chat, if that is on its way into the store
		w.denied = w.c.maySend(who)
	}); err != nil {
		return chat.Room{}, err
	}
	return n.FindRoom(ctx, "@"+who.String())
}

// CreateRoom makes a private room of which this person is the owner.
func (n *Node) CreateRoom(ctx context.Context, name, history string) (chat.Room, error) {
	name, err := chat.CanonicalRoomName(name)
	if err != nil {
		return chat.Room{}, err
	}
	if history == "" {
		history = chat.HistorySinceInvited
	}
	h, err := membership.ParseHistory(history)
	if err != nil {
		return chat.Room{}, err
	}
	return n.entering(ctx, private.Found{Name: strings.TrimPrefix(name, "#"), History: h, Ref: postRef})
}

// AcceptInvitation joins a private room that this person was invited to.
func (n *Node) AcceptInvitation(ctx context.Context, id chat.RoomID) (chat.Room, error) {
	return n.entering(ctx, private.Accept{Room: id, Ref: postRef})
}

// entering hands over an input that leads into a room, and returns that room.
func (n *Node) entering(ctx context.Context, in private.Input) (chat.Room, error) {
	var id chat.RoomID
	if err := n.handOver(ctx, func(w *change) {
		if err := w.c.roomLeft(); err != nil {
			w.deny(postRef, err)
			return
		}
		w.seal(in)
		id = w.done
	}); err != nil {
		return chat.Room{}, err
	}
	return n.FindRoom(ctx, id.String())
}

// roomLeft reports, in words for a person, whether one more room can be entered.
func (c *core) roomLeft() error {
	if len(c.rooms.Rooms()) < chat.MaxRooms {
		return nil
	}
	return chat.Errorf(chat.CodeBusy, "You are in %d rooms, which is the most there can be. Leave one first: earshot room leave #name", chat.MaxRooms)
}

// DeclineInvitation drops an invitation.
func (n *Node) DeclineInvitation(ctx context.Context, id chat.RoomID) error {
	return n.handOver(ctx, func(w *change) { w.seal(private.Decline{Room: id, Ref: postRef}) })
}

// Invitations returns the private rooms that wait for an answer, oldest first.
func (n *Node) Invitations(ctx context.Context) ([]chat.Invitation, error) {
	out := []chat.Invitation{}
	err := n.do(ctx, func(c *core) {
		for _, inv := range c.invitations {
			inv.By.Name = c.displayName(inv.By.Person)
			out = append(out, inv)
		}
	})
	slices.SortFunc(out, func(a, b chat.Invitation) int {
		if d := a.At.Compare(b.At); d != 0 {
			return d
		}
		return strings.Compare(a.RoomID.String(), b.RoomID.String())
	})
	return out, err
}

// Members returns who is in a sealed room, those invited last.
func (n *Node) Members(ctx context.Context, id chat.RoomID) (out []chat.Member, err error) {
	doErr := n.do(ctx, func(c *core) {
		info, ok := c.private.Info(id)
		switch {
		case ok:
			out = c.members(info)
		case c.rooms.Entered(id):
			err = chat.Errorf(chat.CodeUsage, "%s is open: everybody here is in it. `earshot people` lists them.", c.names[id])
		default:
			err = notIn()
		}
	})
	if doErr != nil {
		err = doErr
	}
	return out, err
}

func notIn() error {
	return chat.Errorf(chat.CodeNotFound, "You are not in that room. `earshot rooms` lists yours.")
}

// Invite asks a contact into a private room.
func (n *Node) Invite(ctx context.Context, id chat.RoomID, who chat.PersonID, role string) error {
	r, err := parseRole(role)
	if err != nil {
		return err
	}
	return n.handOver(ctx, func(w *change) {
		// They would not hear a stranger's invitation, and get no keys while it is
		// not known who they are.
		if err := w.c.maySend(who); err != nil {
			w.deny(postRef, err)
			return
		}
		w.alter(id, membership.Invite{Person: who, Role: r})
	})
}

func parseRole(role string) (membership.Role, error) {
	if role == "" {
		return membership.RoleMember, nil
	}
	return membership.ParseRole(role)
}

// Remove ends somebody's membership, or takes an invitation back.
func (n *Node) Remove(ctx context.Context, id chat.RoomID, who chat.PersonID) error {
	return n.handOver(ctx, func(w *change) { w.alter(id, membership.Remove{Person: who}) })
}

// SetRole gives a member another role.
func (n *Node) SetRole(ctx context.Context, id chat.RoomID, who chat.PersonID, role string) error {
	r, err := parseRole(role)
	if err != nil {
		return err
	}
	return n.handOver(ctx, func(w *change) { w.alter(id, membership.SetRole{Person: who, Role: r}) })
}

// RenameRoom changes what a private room is called.
func (n *Node) RenameRoom(ctx context.Context, id chat.RoomID, name string) error {
	name, err := chat.CanonicalRoomName(name)
	if err != nil {
		return err
	}
	name = strings.TrimPrefix(name, "#")
	return n.handOver(ctx, func(w *change) { w.alter(id, membership.Set{Name: &name}) })
}

// SetTopic changes what a private room is about; "" for nothing.
func (n *Node) SetTopic(ctx context.Context, id chat.RoomID, topic string) error {
	topic = strings.Join(strings.Fields(chat.CleanText(topic)), " ")
	if len(topic) > chat.MaxTopic {
		return chat.Errorf(chat.CodeTooLong, "The topic is %d bytes long and may be %d. Choose a shorter one.", len(topic), chat.MaxTopic)
	}
	return n.handOver(ctx, func(w *change) { w.alter(id, membership.Set{Topic: &topic}) })
}

// leave ends this person's membership of a private room.
func (w *change) leave(id chat.RoomID) {
	if info, ok := w.c.private.Info(id); ok && info.Direct {
		w.deny(postRef, chat.Errorf(chat.CodeDenied, "A direct chat lasts as long as the contact. To end it: earshot forget %s", info.With.Short()))
		return
	}
	w.alter(id, membership.Leave{})
}

// alter changes who is in a private room, or what it is.
func (w *change) alter(id chat.RoomID, body membership.Body) {
	c := w.c
	info, ok := c.private.Info(id)
	switch {
	case ok && info.Direct:
		w.deny(postRef, chat.Errorf(chat.CodeUsage, "A direct chat is of two people for ever. Make a room for more: earshot room create #name"))
	case ok:
		w.seal(private.Change{Room: id, Body: body, Ref: postRef})
	case c.rooms.Entered(id):
		w.deny(postRef, chat.Errorf(chat.CodeUsage, "%s is open: nobody decides who is in it. Make a private room: earshot room create #name", c.names[id]))
	default:
		w.deny(postRef, notIn())
	}
}
