package demo

import (
	"context"
	"time"

	"earshot/chat"
	"earshot/node"
)

// introduceWithin is how long those in the office may take to know one another
// before the show begins; it takes about a second.
const introduceWithin = 20 * time.Second

// introduce makes contacts of Mara, Jonas and the person who watches, as people do
// it: one asks, the other accepts. Then Mara makes a private room of the three.
func (s *Show) introduce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, introduceWithin)
	defer cancel()
	mara, jonas := s.people["Mara"], s.people["Jonas"]
	for _, pair := range [][2]*node.Node{{s.you, mara}, {s.you, jonas}, {mara, jonas}} {
		if err := befriend(ctx, pair[0], pair[1]); err != nil {
			return err
		}
	}
	me, err := s.you.Me(ctx)
	if err != nil {
		return err
	}
	chatting, err := mara.DirectChat(ctx, me.Person)
	if err != nil {
		return err
	}
	secret, err := mara.CreateRoom(ctx, cake, chat.HistoryNone)
	if err != nil {
		return err
	}
	for _, guest := range []*node.Node{s.you, jonas} {
		if err := admit(ctx, mara, guest, secret.RoomID); err != nil {
			return err
		}
	}
	s.rooms[direct], s.rooms[private] = chatting.RoomID, secret.RoomID
	return nil
}

// befriend has a ask b, and b accept.
func befriend(ctx context.Context, a, b *node.Node) error {
	alice, err := a.Me(ctx)
	if err != nil {
		return err
	}
	bob, err := b.Me(ctx)
	if err != nil {
		return err
	}
	if _, err := a.AddContact(ctx, bob.Person, ""); err != nil {
		return err
	}
	if err := until(ctx, b, func() (bool, error) { return related(ctx, b, alice.Person, chat.RelationAsking) }); err != nil {
		return err
	}
	if err := b.AcceptContact(ctx, alice.Person); err != nil {
		return err
	}
	return until(ctx, a, func() (bool, error) { return related(ctx, a, bob.Person, chat.RelationContact) })
}

func related(ctx context.Context, n *node.Node, who chat.PersonID, r chat.Relation) (bool, error) {
	all, err := n.Contacts(ctx)
	if err != nil {
		return false, err
	}
	for _, k := range all {
		if k.Person.Person == who && k.Relation == r {
			return true, nil
		}
	}
	return false, nil
}

// admit has host invite guest into a private room, and guest accept.
func admit(ctx context.Context, host, guest *node.Node, room chat.RoomID) error {
	me, err := guest.Me(ctx)
	if err != nil {
		return err
	}
	if err := host.Invite(ctx, room, me.Person, chat.RoleMember); err != nil {
		return err
	}
	err = until(ctx, guest, func() (bool, error) {
		waiting, err := guest.Invitations(ctx)
		for _, v := range waiting {
			if v.RoomID == room {
				return true, err
			}
		}
		return false, err
	})
	if err != nil {
		return err
	}
	if _, err := guest.AcceptInvitation(ctx, room); err != nil {
		return err
	}
	return until(ctx, host, func() (bool, error) {
		members, err := host.Members(ctx, room)
		for _, m := range members {
			if m.Person == me.Person && !m.Invited {
				return true, err
			}
		}
		return false, err
	})
}

// until looks again after each thing that a node tells, until something is so.
func until(ctx context.Context, n *node.Node, is func() (bool, error)) error {
	sub := n.Feed().Subscribe(n.Feed().Newest(), n.Facts)
	defer sub.Close()
	for {
		if done, err := is(); done || err != nil {
			return err
		}
		if _, err := sub.Next(ctx); err != nil {
			return err
		}
	}
}
