package contacts

// Reach is something that goes from one person to another. The first group is
// theirs and reaches this person, the second this person's and reaches them.
type Reach uint8

const (
	ReachRequest    Reach = iota // a contact request
	ReachMessage                 // a direct message
	ReachFile                    // a file
	ReachTyping                  // the sign that they type
	ReachInvitation              // an invitation to a room

	ReachNearby   // that this person is here at all
	ReachPresence // since when, and in which state
	ReachRead     // how far this person has read
	reaches       = iota
)

// Audience is who may see something of this person's. The zero Audience is the
// narrowest.
type Audience uint8

const (
	Nobody Audience = iota
	ContactsOnly
	EveryoneHere // on this network, but for the blocked
)

// Privacy is what this person lets others see.
type Privacy struct {
	Nearby, Presence, Read Audience
	// Invisible is as if all three were Nobody.
	Invisible bool
}

// DefaultPrivacy is what a new home begins with: one can be found, and only
// contacts see more.
var DefaultPrivacy = Privacy{Nearby: EveryoneHere, Presence: ContactsOnly, Read: ContactsOnly}

// table says what may reach whom, but for the privacy settings. A stranger's request
// is the only thing of theirs that reaches this person.
var table = [...][reaches]bool{
	Stranger:  {ReachRequest: true},
	Requested: {ReachRequest: true}, // meets this person's own
	Asking:    {ReachRequest: true}, // the same again
	Contact:   {ReachRequest: true, ReachMessage: true, ReachFile: true, ReachTyping: true, ReachInvitation: true},
	Verified:  {ReachRequest: true, ReachMessage: true, ReachFile: true, ReachTyping: true, ReachInvitation: true},
	Blocked:   {},
}

// May reports whether something may pass between this person, who has these
// privacy settings, and one of this relation.
func May(r Relation, what Reach, p Privacy) bool {
	if int(r) >= len(table) || what >= reaches {
		return false
	}
	var to Audience
	switch what {
	case ReachNearby:
		to = p.Nearby
	case ReachPresence:
		to = p.Presence
	case ReachRead:
		to = p.Read
	default:
		return table[r][what]
	}
	switch {
	case p.Invisible || r == Blocked:
		return false
	case to == EveryoneHere:
		return true
	}
	return to == ContactsOnly && r.Known()
}
