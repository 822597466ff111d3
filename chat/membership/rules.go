package membership

import "earshot/chat"

// verdict is what the rules say of an operation in a state.
type verdict struct {
	need Role // that its author must hold
	cut  bool // it takes something away
	heir bool // its author has the right only as the heir
}

// judge applies the rules of who may do what (PROTOCOL.md#membership) to author
// and b in the set. The error says to the author why not, and what to do next.
func (r *resolver) judge(author chat.PersonID, b Body) (verdict, error) {
	switch b.(type) {
	case Invite, Remove, SetRole, Set, Retain:
		if r.l.direct() {
			return verdict{}, denied("This is a direct chat between two people, and stays that. Create a room instead.")
		}
	}
	switch b := b.(type) {
	case Create:
		return verdict{}, denied("This room exists already. Create another one.")
	case Invite:
		return r.judgeInvite(author, b)
	case Accept:
		return verdict{}, r.judgeAccept(author, b)
	case Leave:
		if r.now(author).role == 0 {
			if i, _ := r.invited(author, r.in, everyonesPass); i == nil {
				return verdict{}, denied("You are not in this room. There is nothing to leave.")
			}
		}
		return verdict{cut: true}, nil
	case Remove:
		return r.judgeRemove(author, b)
	case SetRole:
		return r.judgeSetRole(author, b)
	case Set:
		return r.require(author, RoleAdmin, "Only admins and owners may change the room's name and topic. Ask one of them.")
	case Retain:
		return r.require(author, RoleAdmin, "Only admins and owners may change how long messages are kept in this room. Ask one of them.")
	}
	if r.now(author).role == 0 { // Attest, or an operation of the future
		return verdict{}, outsider()
	}
	return verdict{}, nil
}

// now returns what who is in the whole set.
func (r *resolver) now(who chat.PersonID) standing { return r.standing(who, r.in, everyonesPass) }

// require asks of author to hold a role.
func (r *resolver) require(author chat.PersonID, need Role, otherwise string) (verdict, error) {
	own := r.now(author).role
	switch {
	case own == 0:
		return verdict{}, outsider()
	case r.role(author, r.in, everyonesPass, need) < need:
		return verdict{}, denied(otherwise)
	}
	return verdict{need: need, heir: own < need}, nil
}

func (r *resolver) judgeInvite(author chat.PersonID, b Invite) (verdict, error) {
	v, err := r.require(author, RoleAdmin, "Only admins and owners may invite. Ask one of them to invite this person.")
	if err == nil && b.Role > v.need {
		v, err = r.require(author, b.Role, "Nobody gives more than they have. Invite this person as an admin or a member, or ask an owner.")
	}
	if err != nil {
		return verdict{}, err
	}
	if r.now(b.Person).role != 0 {
		return verdict{}, denied("This person is in the room already. To change what they may do, change their role.")
	}
	if r.crowd() >= chat.MaxMembers {
		return verdict{}, chat.Errorf(chat.CodeBusy, "The room is full: it has room for %d people. Remove somebody first.", chat.MaxMembers)
	}
	return v, nil
}

// crowd returns how many people are in the room or invited; fewer than it could
// hold need not be counted.
func (r *resolver) crowd() int {
	if len(r.l.order) < chat.MaxMembers {
		return len(r.l.order)
	}
	n := 0
	for _, rec := range r.l.order {
		if r.now(rec.id).role != 0 {
			n++
		} else if i, _ := r.invited(rec.id, r.in, everyonesPass); i != nil {
			n++
		}
	}
	return n
}

func (r *resolver) judgeAccept(author chat.PersonID, b Accept) error {
	if r.now(author).role != 0 {
		return denied("You are in this room already. There is nothing to accept.")
	}
	rec, invite := r.l.people[author], r.l.index[b.Invite]
	if rec == nil || invite == nil || !invite.authorised {
		return denied("There is no such invitation. Ask an admin of the room for one.")
	}
	if i, ok := invite.Body.(Invite); !ok || i.Person != author || !r.open(invite, rec, r.in, everyonesPass) {
		return denied("This invitation does not hold any more. Ask an admin of the room for a new one.")
	}
	return nil
}

func (r *resolver) judgeRemove(author chat.PersonID, b Remove) (verdict, error) {
	switch {
	case b.Person == author:
		return verdict{}, denied("You can't remove yourself. Leave the room instead.")
	case r.founder(b.Person):
		return verdict{}, denied("Nobody can remove the creator of a room. Leave it, or create another one.")
	}
	need := RoleAdmin
	theirs := r.role(b.Person, r.in, everyonesPass, RoleOwner)
	if theirs == 0 {
		_, theirs = r.invited(b.Person, r.in, everyonesPass)
	}
	if theirs == RoleOwner {
		need = RoleOwner
	}
	v, err := r.require(author, need, "You may not remove this person: admins remove members and admins, owners remove anyone. Ask an owner.")
	v.cut = true
	return v, err
}

func (r *resolver) judgeSetRole(author chat.PersonID, b SetRole) (verdict, error) {
	v, err := r.require(author, RoleOwner, "Only owners may change roles. Ask one of them.")
	if err != nil {
		return verdict{}, err
	}
	theirs := r.role(b.Person, r.in, everyonesPass, RoleOwner)
	switch {
	case theirs == 0:
		return verdict{}, chat.Errorf(chat.CodeNotFound, "This person is not in the room. Invite them first; once they accept, they can have another role.")
	case r.founder(b.Person):
		return verdict{}, denied("The creator of a room stays its owner until they leave. Change somebody else's role.")
	}
	v.cut = b.Role < theirs
	return v, nil
}

// founder reports whether who is the creator and has never left in the set.
func (r *resolver) founder(who chat.PersonID) bool { return who == r.l.creator && r.creatorIn(r.in) }

func outsider() error {
	return denied("You are not a member of this room. Ask an admin of the room to invite you.")
}

func denied(text string) error { return chat.Errorf(chat.CodeDenied, "%s", text) }
