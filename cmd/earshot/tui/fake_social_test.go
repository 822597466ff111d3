package tui

import (
	"context"
	"errors"
	"slices"
	"strings"

	"earshot/chat"
)

// social is what the fake knows of relations, sealed rooms and devices. What it is
// told is what it then says; rules and refusals are the tests' own (fake.fail).
type social struct {
	contacts    []chat.Contact
	members     map[chat.RoomID][]chat.Member
	invitations []chat.Invitation
	privacy     chat.Privacy
	devices     []chat.OwnDevice
	check       chat.Verification
	pairing     chat.Pairing
}

// idOf returns the room of this name, which is open if there is none yet.
func (f *fake) idOf(name string) chat.RoomID {
	for _, r := range f.rooms {
		if r.Room == name {
			return r.RoomID
		}
	}
	return chat.OpenRoom(name)
}

func (f *fake) nameOf(id chat.RoomID) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rooms {
		if r.RoomID == id {
			return r.Room
		}
	}
	return id.Short()
}

// relate makes somebody known stand in a relation.
func (f *fake) relate(a chat.Author, r chat.Relation, note string) chat.Contact {
	i := slices.IndexFunc(f.people, func(p chat.Person) bool { return p.Person == a.Person })
	f.people[i].Relation = r
	k := chat.Contact{Person: f.people[i], Note: note, Since: f.clock}
	f.contacts = slices.DeleteFunc(f.contacts, func(o chat.Contact) bool { return o.Person.Person == a.Person })
	if r != chat.RelationStranger {
		f.contacts = append(f.contacts, k)
	}
	return k
}

// befriend makes somebody known a contact with whom there is a chat.
func (f *fake) befriend(a chat.Author, r chat.Relation) chat.Room {
	f.relate(a, r, "")
	return f.direct(a)
}

func (f *fake) direct(a chat.Author) chat.Room {
	who := a.Person
	r := chat.Room{Room: "@" + a.Name, RoomID: chat.RoomID(append(f.id("dir"), who[:]...)[:32]), Kind: chat.RoomDirect, Person: &who, Members: 2, Alerts: chat.AlertAll}
	f.rooms = append(f.rooms, r)
	return r
}

// private makes a private room of the user and others.
func (f *fake) private(name, history, role string, others ...chat.Author) chat.Room {
	r := chat.Room{
		Room: name, RoomID: chat.RoomID(f.id("prv")), Kind: chat.RoomPrivate, History: history, Role: role, Members: 1 + len(others),
	}
	f.rooms = append(f.rooms, r)
	if f.members == nil {
		f.members = map[chat.RoomID][]chat.Member{}
	}
	list := []chat.Member{{Person: f.me.Person, Name: f.me.Name, Role: role, Me: true}}
	for i, a := range others {
		list = append(list, chat.Member{Person: a.Person, Name: a.Name, Role: []string{chat.RoleOwner, chat.RoleMember}[min(i, 1)]})
	}
	f.members[r.RoomID] = list
	return r
}

func (f *fake) invite(name, history string, by chat.Author, members int) chat.Invitation {
	v := chat.Invitation{RoomID: chat.RoomID(f.id("inv")), Room: name, By: by, Role: chat.RoleMember, Members: members, History: history, At: f.clock}
	f.invitations = append(f.invitations, v)
	return v
}

func (f *fake) short(who chat.PersonID) string {
	for _, p := range f.people {
		if p.Person == who {
			return p.Name
		}
	}
	return who.Short()
}

func (f *fake) Contacts(context.Context) ([]chat.Contact, error) {
	err := f.enter("contacts")
	defer f.mu.Unlock()
	return slices.Clone(f.contacts), err
}

func (f *fake) FindPerson(_ context.Context, who string) (chat.Person, error) {
	err := f.enter("find", who)
	defer f.mu.Unlock()
	if err != nil {
		return chat.Person{}, err
	}
	for _, p := range f.people {
		if p.Person.Short() == who || p.Relation.Known() && strings.EqualFold(p.Name, who) {
			return p, nil
		}
	}
	return chat.Person{}, chat.Errorf(chat.CodeNotFound, "No contact is called %q. Give the name of a contact, or the id of the person.", who)
}

func (f *fake) set(call string, who chat.PersonID, r chat.Relation) error {
	err := f.enter(call, f.short(who))
	defer f.mu.Unlock()
	if err == nil {
		f.relate(chat.Author{Person: who}, r, "")
	}
	return err
}

func (f *fake) AddContact(_ context.Context, who chat.PersonID, note string) (chat.Contact, error) {
	err := f.enter("add", f.short(who), note)
	defer f.mu.Unlock()
	if err != nil {
		return chat.Contact{}, err
	}
	k := f.relate(chat.Author{Person: who}, chat.RelationRequested, note)
	k.Waiting = k.Presence != chat.Here
	f.contacts[len(f.contacts)-1] = k
	return k, nil
}

func (f *fake) AcceptContact(_ context.Context, who chat.PersonID) error {
	return f.set("accept", who, chat.RelationContact)
}

func (f *fake) DeclineContact(_ context.Context, who chat.PersonID) error {
	return f.set("decline", who, chat.RelationStranger)
}

func (f *fake) BlockPerson(_ context.Context, who chat.PersonID) error {
	return f.set("block", who, chat.RelationBlocked)
}

func (f *fake) UnblockPerson(_ context.Context, who chat.PersonID) error {
	return f.set("unblock", who, chat.RelationStranger)
}

func (f *fake) ForgetContact(_ context.Context, who chat.PersonID) error {
	return f.set("forget", who, chat.RelationStranger)
}

func (f *fake) DecideClaim(_ context.Context, verified, _ chat.PersonID, same bool) error {
	err := f.enter("decide", f.short(verified), same)
	defer f.mu.Unlock()
	for i := range f.contacts {
		if err == nil && f.contacts[i].Person.Person == verified {
			f.contacts[i].Claimant = nil
		}
	}
	return err
}

func (f *fake) Privacy(context.Context) (chat.Privacy, error) {
	err := f.enter("privacy")
	defer f.mu.Unlock()
	return f.privacy, err
}

func (f *fake) SetPrivacy(_ context.Context, p chat.Privacy) error {
	err := f.enter("set privacy", p)
	defer f.mu.Unlock()
	if err == nil {
		f.privacy = p
	}
	return err
}

func (f *fake) DirectChat(_ context.Context, who chat.PersonID) (chat.Room, error) {
	err := f.enter("chat", f.short(who))
	defer f.mu.Unlock()
	if err != nil {
		return chat.Room{}, err
	}
	return f.direct(chat.Author{Person: who, Name: f.short(who)}), nil
}

func (f *fake) CreateRoom(_ context.Context, name, history string) (chat.Room, error) {
	err := f.enter("create", name, history)
	defer f.mu.Unlock()
	if err != nil {
		return chat.Room{}, err
	}
	return f.private(name, history, chat.RoleOwner), nil
}

func (f *fake) Members(_ context.Context, room chat.RoomID) ([]chat.Member, error) {
	err := f.enter("members", f.nameOf(room))
	defer f.mu.Unlock()
	return slices.Clone(f.members[room]), err
}

func (f *fake) Invite(_ context.Context, room chat.RoomID, who chat.PersonID, role string) error {
	err := f.enter("invite", f.nameOf(room), f.short(who), role)
	defer f.mu.Unlock()
	if err == nil {
		f.members[room] = append(f.members[room], chat.Member{Person: who, Name: f.short(who), Role: role, Invited: true, By: &f.me.Person})
	}
	return err
}

func (f *fake) Remove(_ context.Context, room chat.RoomID, who chat.PersonID) error {
	err := f.enter("remove", f.nameOf(room), f.short(who))
	defer f.mu.Unlock()
	if err == nil {
		f.members[room] = slices.DeleteFunc(f.members[room], func(mb chat.Member) bool { return mb.Person == who })
	}
	return err
}

func (f *fake) SetRole(_ context.Context, room chat.RoomID, who chat.PersonID, role string) error {
	err := f.enter("role", f.nameOf(room), f.short(who), role)
	defer f.mu.Unlock()
	for i := range f.members[room] {
		if f.members[room][i].Person == who && err == nil {
			f.members[room][i].Role = role
		}
	}
	return err
}

func (f *fake) RenameRoom(_ context.Context, room chat.RoomID, name string) error {
	defer f.mu.Unlock()
	err := f.enter("rename", name)
	f.change(room, func(r *chat.Room) { r.Room = "#" + strings.TrimPrefix(name, "#") })
	return err
}

func (f *fake) SetTopic(_ context.Context, room chat.RoomID, topic string) error {
	defer f.mu.Unlock()
	err := f.enter("topic", topic)
	f.change(room, func(r *chat.Room) { r.Topic = topic })
	return err
}

func (f *fake) change(room chat.RoomID, how func(*chat.Room)) {
	for i := range f.rooms {
		if f.rooms[i].RoomID == room {
			how(&f.rooms[i])
		}
	}
}

func (f *fake) Invitations(context.Context) ([]chat.Invitation, error) {
	err := f.enter("invitations")
	defer f.mu.Unlock()
	return slices.Clone(f.invitations), err
}

func (f *fake) answer(call string, room chat.RoomID) (chat.Invitation, error) {
	err := f.enter(call)
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.invitations, func(v chat.Invitation) bool { return v.RoomID == room })
	if err != nil || i < 0 {
		return chat.Invitation{}, errors.Join(err, errors.New("no such invitation"))
	}
	v := f.invitations[i]
	f.invitations = slices.Delete(f.invitations, i, i+1)
	return v, nil
}

func (f *fake) AcceptInvitation(_ context.Context, room chat.RoomID) (chat.Room, error) {
	v, err := f.answer("accept invitation", room)
	if err != nil {
		return chat.Room{}, err
	}
	r := chat.Room{Room: v.Room, RoomID: room, Kind: chat.RoomPrivate, History: v.History, Role: v.Role, Members: v.Members + 1}
	f.rooms = append(f.rooms, r)
	return r, nil
}

func (f *fake) DeclineInvitation(_ context.Context, room chat.RoomID) error {
	_, err := f.answer("decline invitation", room)
	return err
}

func (f *fake) Verification(_ context.Context, who chat.PersonID) (chat.Verification, error) {
	err := f.enter("look at", f.short(who))
	defer f.mu.Unlock()
	return chat.Verification{Person: who, Name: f.short(who), Number: f.check.Number, QR: f.check.QR}, err
}

func (f *fake) StartVerification(_ context.Context, who chat.PersonID) (chat.Verification, error) {
	err := f.enter("verify", f.short(who))
	defer f.mu.Unlock()
	v := f.check
	v.Person, v.Name = who, f.short(who)
	return v, err
}

func (f *fake) SayVerification(_ context.Context, who chat.PersonID, same bool) error {
	name := f.short(who)
	defer f.mu.Unlock()
	return f.enter("say", name, same)
}

func (f *fake) CancelVerification(_ context.Context, who chat.PersonID) error {
	name := f.short(who)
	defer f.mu.Unlock()
	return f.enter("cancel", name)
}

func (f *fake) MarkVerified(_ context.Context, who chat.PersonID, evidence string) error {
	err := f.enter("mark", f.short(who), evidence)
	defer f.mu.Unlock()
	if err == nil {
		f.relate(chat.Author{Person: who}, chat.RelationVerified, "")
	}
	return err
}

func (f *fake) Devices(context.Context) ([]chat.OwnDevice, error) {
	err := f.enter("devices")
	defer f.mu.Unlock()
	return slices.Clone(f.devices), err
}

func (f *fake) AddDevice(context.Context) (chat.Pairing, error) {
	err := f.enter("add device")
	defer f.mu.Unlock()
	return f.pairing, err
}

func (f *fake) JoinDevice(_ context.Context, code, _ string) (chat.Pairing, error) {
	defer f.mu.Unlock()
	return chat.Pairing{State: chat.PairingCode}, f.enter("join device", code)
}

func (f *fake) ConfirmDevice(_ context.Context, yes bool) error {
	defer f.mu.Unlock()
	return f.enter("confirm device", yes)
}

func (f *fake) CancelPairing(context.Context) error {
	defer f.mu.Unlock()
	return f.enter("cancel pairing")
}

func (f *fake) RevokeDevice(_ context.Context, device chat.DeviceID) error {
	err := f.enter("revoke", device.Short())
	defer f.mu.Unlock()
	for i := range f.devices {
		if f.devices[i].Device == device && err == nil {
			f.devices[i].Revoked = true
		}
	}
	return err
}
