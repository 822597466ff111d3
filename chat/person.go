package chat

import "time"

// Presence is how reachable a person is, as far as this node can tell. It is
// evidence, not truth.
type Presence string

const (
	Here Presence = "here" // a device of theirs is connected
	Gone Presence = "gone"
)

// Relation is what a person is to this one.
type Relation string

const (
	RelationStranger  Relation = "stranger"  // nearby perhaps, but not known
	RelationRequested Relation = "requested" // this person has asked them
	RelationAsking    Relation = "asking"    // they have asked, and wait in the tray
	RelationContact   Relation = "contact"
	RelationVerified  Relation = "verified" // a contact whose root key has been compared
	RelationBlocked   Relation = "blocked"
)

// Known reports whether the relation is a contact's, verified or not.
func (r Relation) Known() bool { return r == RelationContact || r == RelationVerified }

// Person is somebody this node has met or read.
type Person struct {
	Person PersonID `json:"person"`
	// Name is how they are written beside others: people whose names look alike
	// bear the beginning of their ids behind it.
	Name     string   `json:"name"`
	Me       bool     `json:"me,omitempty"`
	Relation Relation `json:"relation,omitempty"` // empty for this person
	Presence Presence `json:"presence"`
	// Status is what they show this person, while they are Here; of one who is Gone,
	// at most the text that still counts.
	Status Status `json:"status,omitzero"`
	// Suspect says that nothing has been heard where something should have been: they
	// may turn out to be gone in a moment.
	Suspect  bool      `json:"suspect,omitempty"`
	LastSeen time.Time `json:"last_seen,omitzero"` // when last connected to, or known to be here
	Devices  []Device  `json:"devices"`
	// Profile is what they tell this person of themselves; nil for nothing. Its
	// Email counts as theirs only where they are a contact.
	Profile *Profile `json:"profile,omitempty"`
	// Groups are those this person has put them in, in order; Team says that they may
	// break through DoNotDisturb. Others do not learn of either.
	Groups  []string `json:"groups,omitempty"`
	Team    bool     `json:"team,omitempty"`
	Watched bool     `json:"watched,omitempty"` // this person is told once when they are free
}

// Device is one device of a person.
type Device struct {
	Device   DeviceID `json:"device"`
	Presence Presence `json:"presence"`
	// State is what this device alone says; the person's Status is the most available
	// of all.
	State    Availability `json:"state,omitempty"`
	LastSeen time.Time    `json:"last_seen,omitzero"`
	Address  string       `json:"address,omitempty"` // while connected: the remote multiaddr
}

// Contact is somebody with whom there is a relation: a contact, somebody asked or
// asking, somebody blocked.
type Contact struct {
	Person
	// Note is what whoever asked has written: plain text on one line; cleaned.
	Note  string    `json:"note,omitempty"`
	Since time.Time `json:"since,omitzero"` // when the relation became what it is
	// Waiting says that the request, or the answer to theirs, has not reached them.
	Waiting bool `json:"waiting,omitempty"`
	// Claimant is somebody with another root key who goes by this verified
	// contact's name. Nothing is sent to either until the person has decided
	// whether the two are one.
	Claimant *PersonID `json:"claimant,omitempty"`
}

// Audience is who may see something of this person's, beside Invisible: Everyone,
// OnlyContacts, Nobody, or contacts in some groups: "groups:" and their names with
// commas between them.
type Audience = string

const (
	Everyone     Audience = "everyone" // on this network, but for the blocked
	OnlyContacts Audience = "contacts"
	InGroups     Audience = "groups:" // begins one: "groups:sales,board"
	Nobody       Audience = "nobody"
)

// Privacy is what this person lets others see, each an Audience.
type Privacy struct {
	Nearby   Audience `json:"nearby"`   // that this person is here at all
	Presence Audience `json:"presence"` // whether they are free, and their status text
	Typing   Audience `json:"typing"`   // when this person types; never strangers
	Read     Audience `json:"read"`     // how far this person has read what they wrote
	// Invisible is as if all were Nobody.
	Invisible bool `json:"invisible"`
	// Exceptions are people for whom something else counts than for the audience.
	Exceptions []PrivacyException `json:"exceptions,omitempty"`
}

// PrivacyException lets one person see more or less than the audience does. A pointer
// that is nil leaves the setting as it is. Nobody but contacts is shown more.
type PrivacyException struct {
	Person   PersonID `json:"person"`
	Presence *bool    `json:"presence,omitempty"`
	Typing   *bool    `json:"typing,omitempty"`
	Read     *bool    `json:"read,omitempty"`
}

// VerificationState is how far a live comparison of two root keys has come.
type VerificationState string

const (
	VerificationWaiting   VerificationState = "waiting"   // for them to take part
	VerificationAsked     VerificationState = "asked"     // they want to, this person has not said
	VerificationCompare   VerificationState = "compare"   // both have the symbols before them
	VerificationSaid      VerificationState = "said"      // this person said same, they have not yet
	VerificationVerified  VerificationState = "verified"  // both said same
	VerificationDifferent VerificationState = "different" // one said different: somebody is between the two
	VerificationEnded     VerificationState = "ended"     // called off, lost, or timed out; see Reason
)

// Over reports whether nothing follows this state.
func (s VerificationState) Over() bool {
	return s == VerificationVerified || s == VerificationDifferent || s == VerificationEnded
}

// Verification is a live comparison with another person, and what else proves that
// each holds the other's true root key.
type Verification struct {
	Person PersonID          `json:"person"`
	Name   string            `json:"name"`
	State  VerificationState `json:"state"`
	// Symbols are the seven signs to compare, as "🐙 octopus", once both have
	// revealed theirs.
	Symbols []string `json:"symbols,omitempty"`
	// Number is the same for both for ever: 60 digits in groups of five.
	Number string `json:"number,omitempty"`
	// QR is the text of the code that this person shows the other.
	QR     string `json:"qr,omitempty"`
	Reason string `json:"reason,omitempty"` // why it ended, in plain words
}

// OwnDevice is a device of this person.
type OwnDevice struct {
	Device   DeviceID  `json:"device"`
	Label    string    `json:"label"` // as the person called it; cleaned
	This     bool      `json:"this,omitempty"`
	AddedAt  time.Time `json:"added_at,omitzero"`
	LastSeen time.Time `json:"last_seen,omitzero"`
	Presence Presence  `json:"presence"`
	Revoked  bool      `json:"revoked,omitempty"` // reads nothing that is said since
}

// PairingState is how far the adding of a device has come.
type PairingState string

const (
	PairingCode    PairingState = "code"    // the old device shows the code, or the new one looks for it
	PairingConfirm PairingState = "confirm" // both have proved the code: the person confirms on each
	PairingDone    PairingState = "done"
	PairingFailed  PairingState = "failed" // see Reason
)

// Over reports whether nothing follows this state.
func (s PairingState) Over() bool { return s == PairingDone || s == PairingFailed }

// Pairing is the adding of a device to this person, as one of the two devices sees
// it.
type Pairing struct {
	State   PairingState `json:"state"`
	Code    string       `json:"code,omitempty"` // to be typed on the new device; on the old one only
	QR      string       `json:"qr,omitempty"`   // the text that takes the code's place
	Device  DeviceID     `json:"device,omitzero"`
	Label   string       `json:"label,omitempty"`
	Reason  string       `json:"reason,omitempty"` // why it failed, in plain words
	Expires time.Time    `json:"expires,omitzero"` // of the code
}
