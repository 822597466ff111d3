package main

import (
	"context"
	"fmt"
	"strings"

	"earshot/chat"
	"earshot/node/api/client"
)

// This file is private rooms: making them, invitations, members.

// reads says what newcomers to a private room can read.
func reads(history string) string {
	switch history {
	case chat.HistoryNone:
		return "nothing that was said before they joined"
	case chat.HistorySinceInvited:
		return "what was said since they were invited"
	case chat.HistoryAll:
		return "all that was ever said there"
	}
	return history
}

// readBy says who can read a room.
func readBy(r chat.Room) string {
	who := "anyone on this network"
	switch {
	case r.Left:
		return cell(r.Ended)
	case r.Kind == chat.RoomDirect:
		who = "you and " + cell(strings.TrimPrefix(r.Room, "@"))
	case r.Kind == chat.RoomPrivate:
		if who = fmt.Sprintf("%d members", r.Members); r.Members == 1 {
			who = "you alone"
		}
	}
	if r.Unreadable > 0 {
		who += fmt.Sprintf("; %d messages can't be read here", r.Unreadable)
	}
	return who
}

// roomResult prints a room after something was done in it.
func (a *app) roomResult(ctx context.Context, s *session, id chat.RoomID, format string, args ...any) error {
	if !a.p.json {
		return a.p.line(format, args...)
	}
	room, err := s.Room(ctx, id.String())
	if err != nil {
		return err
	}
	return a.p.object(room)
}

// inRoom finds the room that the first argument means, and runs f there. heard says
// that others must hear of it.
func (a *app) inRoom(ctx context.Context, ref string, heard bool, f func(*session, chat.Room) error) error {
	return a.with(ctx, need{network: heard}, func(s *session) error {
		room, err := s.Room(ctx, ref)
		if err != nil {
			return err
		}
		if !heard || !room.Kind.Sealed() {
			return f(s, room)
		}
		return s.passOn(ctx, room, func() error { return f(s, room) })
	})
}

// findMember returns the one in a room whom ref means: by id, or by name among those
// who are in it.
func findMember(ctx context.Context, c *client.Client, room chat.Room, ref string) (chat.Member, error) {
	members, err := c.Members(ctx, room.RoomID.String())
	if err != nil {
		return chat.Member{}, err
	}
	var found []chat.Member
	for _, m := range members {
		if meantBy(strings.TrimPrefix(ref, "@"), m.Name, m.Person) {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return chat.Member{}, chat.Errorf(chat.CodeNotFound, "Nobody in %s is called %q. See `earshot room members %s`.", cell(room.Room), cell(ref), room.RoomID.Short())
	}
	var list []string
	for _, m := range found[:min(len(found), 8)] {
		list = append(list, called(chat.Person{Person: m.Person, Name: m.Name}))
	}
	return chat.Member{}, chat.Errorf(chat.CodeAmbiguous, "%d in %s fit %q: %s. Give the id of the one that is meant.", len(found), cell(room.Room), cell(ref), strings.Join(list, ", "))
}

func created(r chat.Room) string {
	return fmt.Sprintf("%s is made. Only those you invite can read it. Newcomers read %s.", cell(r.Room), reads(r.History))
}

const nothingBefore = "Who joins later reads nothing that was said before, not even since they were invited. That can't be changed afterwards."

func runCreate(ctx context.Context, a *app, args []string) error {
	if a.opt.history == chat.HistoryNone {
		if err := a.sure(ctx, nothingBefore); err != nil {
			return err
		}
	}
	return a.with(ctx, need{}, func(s *session) error {
		room, err := s.Create(ctx, args[0], a.opt.history)
		if err != nil {
			return err
		}
		return a.roomResult(ctx, s, room.RoomID, "%s", created(room))
	})
}

func runInvite(ctx context.Context, a *app, args []string) error {
	return a.inRoom(ctx, args[0], true, func(s *session, room chat.Room) error {
		p, err := findPerson(ctx, s.Client, args[1])
		if err != nil {
			return err
		}
		if err := s.Invite(ctx, room.RoomID.String(), p.Person.String(), a.opt.role); err != nil {
			return err
		}
		return a.roomResult(ctx, s, room.RoomID, "%s", invited(p, room))
	})
}

func invited(p chat.Person, room chat.Room) string {
	return fmt.Sprintf("%s is invited to %s. Newcomers read %s.", called(p), cell(room.Room), reads(room.History))
}

func runInvitations(ctx context.Context, a *app, _ []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		invitations, err := s.Invitations(ctx)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, i := range invitations {
			if a.p.json {
				if err := a.p.object(i); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, []string{
				i.Room, i.RoomID.Short(), called(chat.Person{Person: i.By.Person, Name: i.By.Name}), fmt.Sprint(i.Members), i.Role, a.p.stamp(i.At), reads(i.History),
			})
		}
		if a.p.json {
			return nil
		}
		return a.p.table([]string{"ROOM", "ID", "FROM", "MEMBERS", "AS", "SINCE", "YOU WOULD READ"}, rows, "Nobody has invited you.")
	})
}

func entered(r chat.Room) string {
	return fmt.Sprintf("You are in %s. Its members can read it, and nobody else. You read %s.", cell(r.Room), strings.ReplaceAll(reads(r.History), "they were", "you were"))
}

func runAcceptRoom(ctx context.Context, a *app, args []string) error {
	return a.with(ctx, need{network: true}, func(s *session) error {
		return s.passOn(ctx, chat.Room{}, func() error {
			room, err := s.AcceptInvitation(ctx, args[0])
			if err != nil {
				return err
			}
			return a.roomResult(ctx, s, room.RoomID, "%s", entered(room))
		})
	})
}

func runDeclineRoom(ctx context.Context, a *app, args []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		if err := s.DeclineInvitation(ctx, args[0]); err != nil {
			return err
		}
		if a.p.json {
			return a.p.object(map[string]bool{"declined": true})
		}
		return a.p.line("You have declined.")
	})
}

func runMembers(ctx context.Context, a *app, args []string) error {
	return a.inRoom(ctx, args[0], false, func(s *session, room chat.Room) error {
		members, err := s.Members(ctx, room.RoomID.String())
		if err != nil {
			return err
		}
		var rows [][]string
		for _, m := range members {
			if a.p.json {
				if err := a.p.object(m); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, []string{m.Name, m.Role, standing(m), m.Person.Short()})
		}
		if a.p.json {
			return nil
		}
		if err := a.p.table([]string{"NAME", "ROLE", "", "PERSON"}, rows, "Nobody is in it."); err != nil {
			return err
		}
		if room.Kind == chat.RoomPrivate {
			a.p.note("Newcomers read %s.", reads(room.History))
		}
		return nil
	})
}

// standing says what there is to know of a member besides the role.
func standing(m chat.Member) string {
	switch {
	case m.Invited:
		return "invited"
	case m.Me:
		return "you"
	}
	return ""
}

func runLeave(ctx context.Context, a *app, args []string) error {
	return a.inRoom(ctx, args[0], true, func(s *session, room chat.Room) error {
		switch room.Kind {
		case chat.RoomDirect:
			return chat.Errorf(chat.CodeUsage, "The chat with %[1]s is there as long as %[1]s is a contact. To end it: earshot forget %[2]s", cell(strings.TrimPrefix(room.Room, "@")), room.Person.Short())
		case chat.RoomPrivate:
			what := fmt.Sprintf("You leave %s for good: nothing that is said there from now on reaches you, and only another invitation leads back. What was said stays here.", cell(room.Room))
			if err := a.sure(ctx, what); err != nil {
				return err
			}
		}
		if err := s.Leave(ctx, room.RoomID.String()); err != nil {
			return err
		}
		if a.p.json {
			return a.p.object(struct {
				Room   string      `json:"room"`
				RoomID chat.RoomID `json:"room_id"`
				Left   bool        `json:"left"`
			}{room.Room, room.RoomID, true})
		}
		return a.p.line("You have left %s. What was said there is kept.", cell(room.Room))
	})
}

func removal(m chat.Member, room chat.Room) string {
	who := called(chat.Person{Person: m.Person, Name: m.Name})
	if m.Invited {
		return fmt.Sprintf("The invitation of %s to %s is taken back.", who, cell(room.Room))
	}
	return fmt.Sprintf("%s reads nothing that is said in %s from now on, and is told so. What they have read stays with them.", who, cell(room.Room))
}

func runRemove(ctx context.Context, a *app, args []string) error {
	return a.inRoom(ctx, args[0], true, func(s *session, room chat.Room) error {
		m, err := findMember(ctx, s.Client, room, args[1])
		if err != nil {
			return err
		}
		if err := a.sure(ctx, removal(m, room)); err != nil {
			return err
		}
		if err := s.Remove(ctx, room.RoomID.String(), m.Person.String()); err != nil {
			return err
		}
		return a.roomResult(ctx, s, room.RoomID, "%s is out of %s.", cell(m.Name), cell(room.Room))
	})
}

func runRole(ctx context.Context, a *app, args []string) error {
	return a.inRoom(ctx, args[0], true, func(s *session, room chat.Room) error {
		m, err := findMember(ctx, s.Client, room, args[1])
		if err != nil {
			return err
		}
		if err := s.SetRole(ctx, room.RoomID.String(), m.Person.String(), args[2]); err != nil {
			return err
		}
		return a.roomResult(ctx, s, room.RoomID, "%s is %s of %s now.", cell(m.Name), args[2], cell(room.Room))
	})
}

func runRename(ctx context.Context, a *app, args []string) error {
	return a.inRoom(ctx, args[0], true, func(s *session, room chat.Room) error {
		if err := s.Rename(ctx, room.RoomID.String(), args[1]); err != nil {
			return err
		}
		return a.roomResult(ctx, s, room.RoomID, "%s has another name now, for all its members.", cell(room.Room))
	})
}

func runTopic(ctx context.Context, a *app, args []string) error {
	return a.inRoom(ctx, args[0], true, func(s *session, room chat.Room) error {
		if err := s.SetTopic(ctx, room.RoomID.String(), strings.Join(args[1:], " ")); err != nil {
			return err
		}
		return a.roomResult(ctx, s, room.RoomID, "The topic of %s has changed.", cell(room.Room))
	})
}
