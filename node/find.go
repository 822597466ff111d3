package node

import (
	"context"
	"slices"
	"strings"

	"earshot/chat"
)

// This file is which room a person means by what they type.

// minIDPrefix is how many characters of a room's id stand for it.
const minIDPrefix = 6

// FindRoom returns the room that a person means: "#name", "@name" of a contact, an
// id or its beginning, or a bare name. What fits several is refused with a list of
// them. Rooms that were left are found where no other fits.
func (n *Node) FindRoom(ctx context.Context, s string) (chat.Room, error) {
	rooms, err := n.Rooms(ctx)
	if err != nil {
		return chat.Room{}, err
	}
	if id, err := chat.ParseRoomID(s); err == nil {
		at := slices.IndexFunc(rooms, func(r chat.Room) bool { return r.RoomID == id })
		if at < 0 {
			return chat.Room{}, notIn()
		}
		return rooms[at], nil
	}
	left := slices.IndexFunc(rooms, func(r chat.Room) bool { return r.Left })
	if left < 0 {
		left = len(rooms)
	}
	found, err := n.findIn(ctx, s, rooms[:left])
	if len(found) == 0 {
		if old, _ := n.findIn(ctx, s, rooms[left:]); len(old) > 0 {
			found, err = old, nil
		}
	}
	if err != nil {
		return chat.Room{}, err
	}
	return theRoom(s, found)
}

// findIn returns those of rooms that s may mean. The error says why there is none.
func (n *Node) findIn(ctx context.Context, s string, rooms []chat.Room) (found []chat.Room, err error) {
	for _, r := range rooms {
		if called(r, s) {
			found = append(found, r)
		}
	}
	if strings.HasPrefix(s, "#") {
		return found, nil
	}
	who, whoErr := n.FindPerson(ctx, strings.TrimPrefix(s, "@"))
	if whoErr == nil {
		for _, r := range rooms {
			if r.Person != nil && *r.Person == who.Person && !slices.ContainsFunc(found, func(f chat.Room) bool { return f.RoomID == r.RoomID }) {
				found = append(found, r)
			}
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	if !strings.HasPrefix(s, "@") && len(s) >= minIDPrefix {
		for _, r := range rooms {
			if strings.HasPrefix(r.RoomID.String(), strings.ToLower(s)) {
				found = append(found, r)
			}
		}
	}
	switch {
	case len(found) > 0:
		return found, nil
	case whoErr == nil:
		return nil, noContact(who)
	case strings.HasPrefix(s, "@"), chat.CodeOf(whoErr) != chat.CodeNotFound && chat.CodeOf(whoErr) != chat.CodeBadID:
		return nil, whoErr
	}
	return nil, nil
}

// called reports whether a room bears a name, with or without its #. Direct chats
// are found by whom they are with; one that has ended, by its name too.
func called(r chat.Room, s string) bool {
	if r.Kind == chat.RoomDirect {
		return r.Left && strings.EqualFold(r.Room, "@"+strings.TrimPrefix(s, "@"))
	}
	name := "#" + strings.TrimPrefix(s, "#")
	if strings.EqualFold(r.Room, name) {
		return true
	}
	canonical, err := chat.CanonicalRoomName(name)
	return err == nil && r.Room == canonical
}

// theRoom returns the only one of several rooms, or says what is wrong with that.
func theRoom(s string, found []chat.Room) (chat.Room, error) {
	switch len(found) {
	case 0:
		if _, err := chat.CanonicalRoomName(s); err != nil {
			return chat.Room{}, err
		}
		name := strings.TrimPrefix(s, "#")
		return chat.Room{}, chat.Errorf(chat.CodeNotFound, "You are in no room called #%s. Join it with: earshot room join %s", name, name)
	case 1:
		return found[0], nil
	}
	list := make([]string, 0, len(found))
	for _, r := range found {
		list = append(list, r.Room+" "+r.RoomID.Short())
	}
	return chat.Room{}, chat.Errorf(chat.CodeAmbiguous, "%s could be %s. Say which by the characters behind its name.", s, strings.Join(list, ", "))
}

func noContact(p chat.Person) error {
	return chat.Errorf(chat.CodeNotContact, "%s is not a contact. Ask them first: earshot add %s", p.Name, p.Person.Short())
}
