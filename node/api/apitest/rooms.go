package apitest

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"earshot/chat"
)

// This file is direct chats and private rooms.

func newRoomID() (id chat.RoomID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// Invited makes an invitation to a private room arrive. Whoever sends it is its
// owner; role is what this person shall be there.
func (n *Node) Invited(by chat.Author, name, history, role string) chat.Invitation {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := &room{
		Room:    chat.Room{Room: name, RoomID: newRoomID(), Kind: chat.RoomPrivate, History: history, Role: role},
		members: []chat.Member{{Person: by.Person, Name: by.Name, Role: chat.RoleOwner}, {Person: n.me.Person, Name: n.me.Name, Role: role, Me: true, Invited: true, By: &by.Person}},
		invited: time.Now().UTC(), by: by,
	}
	n.invitations = append(n.invitations, r)
	i := r.invitation()
	n.feed.Publish(chat.InvitationEvent{Invitation: i})
	return i
}

// Joins makes somebody accept the invitation to a room that this person is in.
func (n *Node) Joins(who chat.PersonID, id chat.RoomID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.byRoomID(id)
	i := -1
	if err == nil {
		i = r.index(who)
	}
	if i < 0 || !r.members[i].Invited {
		panic("apitest: they are not invited there")
	}
	r.members[i].Invited = false
	n.changed(r, r.members[i].Name, "joined")
}

// Removed makes somebody remove this person from a private room.
func (n *Node) Removed(by chat.Author, id chat.RoomID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.byRoomID(id)
	if err != nil {
		panic("apitest: " + err.Error())
	}
	r.members = slices.DeleteFunc(r.members, func(m chat.Member) bool { return m.Me })
	n.changed(r, by.Name, "removed "+n.me.Name)
	n.exit(r, by.Name+" removed you.")
}

func (r *room) invitation() chat.Invitation {
	return chat.Invitation{
		RoomID: r.RoomID, Room: r.Room.Room, By: r.by, Role: r.Role, Members: r.count(), History: r.History, At: r.invited,
	}
}

// index returns where somebody stands among the members and invited, or -1.
func (r *room) index(who chat.PersonID) int {
	return slices.IndexFunc(r.members, func(m chat.Member) bool { return m.Person == who })
}

// count returns how many are in the room.
func (r *room) count() (n int) {
	for _, m := range r.members {
		if !m.Invited {
			n++
		}
	}
	return n
}

// changed tells that a private room has changed. n.mu is held.
func (n *Node) changed(r *room, by, what string) {
	r.Members = r.count()
	n.feed.Publish(chat.RoomChangedEvent{Room: r.Room, Members: n.membersOf(r), By: by, What: what})
}

// membersOf returns who is in a sealed room, those invited last.
func (n *Node) membersOf(r *room) []chat.Member {
	if r.Kind == chat.RoomDirect {
		p, _ := n.known(*r.Room.Person)
		return []chat.Member{{Person: n.me.Person, Name: n.me.Name, Role: chat.RoleMember, Me: true}, {Person: p.Person, Name: p.Name, Role: chat.RoleMember}}
	}
	out := slices.Clone(r.members)
	slices.SortStableFunc(out, func(a, b chat.Member) int {
		switch {
		case a.Invited == b.Invited:
			return 0
		case b.Invited:
			return -1
		}
		return 1
	})
	return out
}

// find returns the room that ref means, as FindRoom promises.
func (n *Node) find(ref string) (*room, error) {
	rooms := matching(n.rooms, ref)
	var people []chat.Person
	if who, ok := strings.CutPrefix(ref, "@"); ok || !strings.HasPrefix(ref, "#") {
		people = n.byName(who)
		if p, err := n.person(who); err == nil && p.Relation.Known() {
			people = []chat.Person{p}
		}
	}
	if len(rooms)+len(people) == 0 {
		rooms = matching(n.left, ref)
	}
	switch {
	case len(rooms)+len(people) > 1:
		return nil, several(ref, people, rooms)
	case len(rooms) == 1:
		return rooms[0], nil
	case len(people) == 1:
		if d := n.directWith(people[0].Person); d != nil {
			return d, nil
		}
	}
	return nil, chat.Errorf(chat.CodeNotFound, "There is no room %.60q here, and no contact of that name. Join it with `earshot room join`.", ref)
}

// matching returns the rooms of a name, or of an id or its beginning. A direct chat
// has the name of its contact, until it ends.
func matching(rooms []*room, ref string) (out []*room) {
	name, err := chat.CanonicalRoomName(ref)
	for _, r := range rooms {
		if err == nil && r.Room.Room == name || r.Left && r.Room.Room == ref || len(ref) >= minPrefix && strings.HasPrefix(r.RoomID.String(), strings.ToLower(ref)) {
			out = append(out, r)
		}
	}
	return out
}

// maySend reports why nothing may be said in a room.
func (n *Node) maySend(r *room) error {
	if r.Kind != chat.RoomDirect {
		return nil
	}
	for _, c := range n.contacts {
		if c.Claimant != nil && (*r.Room.Person == c.Person.Person || *r.Room.Person == *c.Claimant) {
			return chat.Errorf(chat.CodeHeld, "Somebody with another key goes by the name of %s, whom you have verified. Nothing is sent until you have decided: earshot decide %s", c.Name, c.Person.Person.Short())
		}
	}
	return nil
}

func (n *Node) DirectChat(_ context.Context, who chat.PersonID) (chat.Room, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, ok := n.known(who)
	d := n.directWith(who)
	switch {
	case n.fail != nil:
		return chat.Room{}, n.fail
	case !ok:
		return chat.Room{}, chat.Errorf(chat.CodeNotFound, "Nobody here has that id. `earshot people` lists whom you have met.")
	case d == nil:
		return chat.Room{}, chat.Errorf(chat.CodeNotContact, "%s is not a contact. Ask with: earshot add %s", p.Name, who.Short())
	}
	return d.Room, n.maySend(d)
}

func (n *Node) CreateRoom(_ context.Context, name, history string) (chat.Room, error) {
	name, err := chat.CanonicalRoomName(name)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil || n.fail != nil {
		return chat.Room{}, firstOf(n.fail, err)
	}
	if history == "" {
		history = chat.HistorySinceInvited
	}
	r := n.enter(&room{
		Room:    chat.Room{Room: name, RoomID: newRoomID(), Kind: chat.RoomPrivate, History: history, Role: chat.RoleOwner, Members: 1},
		members: []chat.Member{{Person: n.me.Person, Name: n.me.Name, Role: chat.RoleOwner, Me: true}},
	})
	return r.Room, nil
}

func (n *Node) Members(_ context.Context, id chat.RoomID) ([]chat.Member, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.byRoomID(id)
	switch {
	case err != nil || n.fail != nil:
		return nil, firstOf(n.fail, err)
	case !r.Kind.Sealed():
		return nil, chat.Errorf(chat.CodeUsage, "%s is open: whoever knows its name can read it. Nobody is a member.", r.Room.Room)
	}
	return n.membersOf(r), nil
}

// act carries out f in a private room where this person holds one of the roles, and
// tells what it says it did.
func (n *Node) act(id chat.RoomID, f func(*room) (string, error), roles ...string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.byRoomID(id)
	switch {
	case err != nil || n.fail != nil:
		return firstOf(n.fail, err)
	case r.Kind != chat.RoomPrivate:
		return chat.Errorf(chat.CodeDenied, "%s is no private room. Create one with: earshot room create", r.Room.Room)
	case !slices.Contains(roles, r.Role):
		return chat.Errorf(chat.CodeDenied, "Your role in %s does not allow that. Ask an owner.", r.Room.Room)
	}
	what, err := f(r)
	if err == nil {
		n.changed(r, n.me.Name, what)
	}
	return err
}

func (n *Node) Invite(_ context.Context, id chat.RoomID, who chat.PersonID, role string) error {
	if role == "" {
		role = chat.RoleMember
	}
	return n.act(id, func(r *room) (string, error) {
		p, ok := n.known(who)
		switch {
		case !ok || !p.Relation.Known():
			return "", chat.Errorf(chat.CodeNotContact, "Only contacts can be invited. Ask with: earshot add %s", who.Short())
		case r.index(who) >= 0:
			return "", chat.Errorf(chat.CodeDenied, "%s is in the room already, or invited. Change their role instead.", p.Name)
		}
		r.members = append(r.members, chat.Member{Person: who, Name: p.Name, Role: role, Invited: true, By: &n.me.Person})
		return "invited " + p.Name, nil
	}, chat.RoleAdmin, chat.RoleOwner)
}

func (n *Node) Remove(_ context.Context, id chat.RoomID, who chat.PersonID) error {
	return n.act(id, func(r *room) (string, error) {
		i := r.index(who)
		switch {
		case i < 0:
			return "", notIn(r)
		case r.members[i].Me:
			return "", chat.Errorf(chat.CodeDenied, "You can't remove yourself. Leave the room instead.")
		}
		name := r.members[i].Name
		r.members = slices.Delete(r.members, i, i+1)
		return "removed " + name, nil
	}, chat.RoleAdmin, chat.RoleOwner)
}

func notIn(r *room) error {
	return chat.Errorf(chat.CodeNotFound, "That person is not in %s. See `earshot room members`.", r.Room.Room)
}

func (n *Node) SetRole(_ context.Context, id chat.RoomID, who chat.PersonID, role string) error {
	return n.act(id, func(r *room) (string, error) {
		i := r.index(who)
		if i < 0 || r.members[i].Invited {
			return "", notIn(r)
		}
		if r.members[i].Role = role; r.members[i].Me {
			r.Role = role
		}
		return "made " + r.members[i].Name + " " + role, nil
	}, chat.RoleOwner)
}

func (n *Node) RenameRoom(_ context.Context, id chat.RoomID, name string) error {
	name, err := chat.CanonicalRoomName(name)
	if err != nil {
		return err
	}
	return n.act(id, func(r *room) (string, error) {
		r.Room.Room = name
		return "named the room " + name, nil
	}, chat.RoleAdmin, chat.RoleOwner)
}

func (n *Node) SetTopic(_ context.Context, id chat.RoomID, topic string) error {
	return n.act(id, func(r *room) (string, error) {
		if len(topic) > chat.MaxTopic {
			return "", chat.Errorf(chat.CodeTooLong, "The topic has %d bytes and may have %d. Shorten it.", len(topic), chat.MaxTopic)
		}
		r.Topic = chat.CleanText(topic)
		return "changed the topic", nil
	}, chat.RoleAdmin, chat.RoleOwner)
}

func (n *Node) Invitations(context.Context) ([]chat.Invitation, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []chat.Invitation
	for _, r := range n.invitations {
		out = append(out, r.invitation())
	}
	return out, n.fail
}

// answer takes an invitation away and returns its room. n.mu is held.
func (n *Node) answer(id chat.RoomID) (*room, error) {
	i := slices.IndexFunc(n.invitations, func(r *room) bool { return r.RoomID == id })
	if n.fail != nil || i < 0 {
		return nil, firstOf(n.fail, chat.Errorf(chat.CodeNotFound, "There is no such invitation. See `earshot invitations`."))
	}
	r := n.invitations[i]
	n.invitations = slices.Delete(n.invitations, i, i+1)
	n.feed.Publish(chat.InvitationEvent{Invitation: r.invitation(), Gone: true})
	return r, nil
}

func (n *Node) AcceptInvitation(_ context.Context, id chat.RoomID) (chat.Room, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.answer(id)
	if err != nil {
		return chat.Room{}, err
	}
	r.members[r.index(n.me.Person)].Invited = false
	r.Members = r.count()
	n.enter(r)
	n.changed(r, n.me.Name, "joined")
	return r.Room, nil
}

func (n *Node) DeclineInvitation(_ context.Context, id chat.RoomID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, err := n.answer(id)
	return err
}
