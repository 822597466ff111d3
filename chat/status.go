package chat

import "time"

// Availability is whether a person wants to be talked to now. What others are told of
// it is what the person chose, or what their machine knows.
type Availability string

const (
	Available    Availability = "available"
	Away         Availability = "away" // nobody touches the machine, or the screen is locked
	Busy         Availability = "busy"
	DoNotDisturb Availability = "dnd"     // nothing is to interrupt
	InMeeting    Availability = "meeting" // as DoNotDisturb, until a time
	Offline      Availability = "offline" // appears to be gone, and is not
)

// Availabilities lists every one that a person can choose, the most available first.
var Availabilities = []Availability{Available, Away, Busy, InMeeting, DoNotDisturb, Offline}

// Free reports whether who is so may be interrupted.
func (a Availability) Free() bool { return a == Available }

// Quiet reports whether who is so is not to be interrupted by alerts.
func (a Availability) Quiet() bool { return a == DoNotDisturb || a == InMeeting }

// Status is what a person shows of themselves at this moment.
type Status struct {
	// State is empty where it is not known, or not shown to this person.
	State Availability `json:"state,omitempty"`
	Since time.Time    `json:"since,omitzero"` // when State became what it is, by their clock
	Until time.Time    `json:"until,omitzero"` // when State ends by itself
	// Text is a line of at most MaxStatusText bytes; cleaned.
	Text      string    `json:"text,omitempty"`
	TextUntil time.Time `json:"text_until,omitzero"` // when Text ends by itself
}

// At returns what is left of s at a time: what has an end and is over is gone.
func (s Status) At(now time.Time) Status {
	if !s.Until.IsZero() && !now.Before(s.Until) {
		s.State, s.Since, s.Until = Available, s.Until, time.Time{}
	}
	if !s.TextUntil.IsZero() && !now.Before(s.TextUntil) {
		s.Text, s.TextUntil = "", time.Time{}
	}
	return s
}

// OwnStatus is this person's status, and where it comes from.
type OwnStatus struct {
	Status                   // as those are shown who may see it
	Chosen      Availability `json:"chosen"`              // Available: away comes and goes by itself
	IdleSince   time.Time    `json:"idle_since,omitzero"` // zero while somebody is at this machine
	Locked      bool         `json:"locked,omitempty"`    // the screen of this machine is
	IdleBy      string       `json:"idle_by,omitempty"`   // what tells: "logind", "x11", ...; empty: only Earshot's faces
	IdleProblem string       `json:"idle_problem,omitempty"`
}

// StatusChange is what a person changes of their status; what is nil stays.
type StatusChange struct {
	State     *Availability `json:"state,omitempty"`
	Until     time.Time     `json:"until,omitzero"` // of State; zero for no end
	Text      *string       `json:"text,omitempty"`
	TextUntil time.Time     `json:"text_until,omitzero"` // of Text; zero for no end
}

// Profile is what a person tells of themselves. Others see of it what each part allows.
type Profile struct {
	Title      string `json:"title,omitempty"`
	Department string `json:"department,omitempty"`
	Email      string `json:"email,omitempty"`
	Location   string `json:"location,omitempty"`
	Phone      string `json:"phone,omitempty"`
}

// OwnProfile is this person's own profile, and who may see each part of it.
type OwnProfile struct {
	Profile
	// For holds, by the JSON name of a part, an Audience; what is missing is for
	// OnlyContacts.
	For map[string]Audience `json:"for,omitempty"`
}

// Alert levels of a conversation: what of it may alert this person.
const (
	AlertAll      = "all"
	AlertMentions = "mentions" // what calls this person
	AlertNone     = "none"
)

// Alerts is how this person is to be alerted.
type Alerts struct {
	Desktop bool `json:"desktop"` // by notifications of the desktop
	Bell    bool `json:"bell"`    // by the terminal's bell
	Title   bool `json:"title"`   // by the terminal's title
	// Preview says what a notification shows: PreviewText, PreviewName or PreviewNothing.
	Preview string `json:"preview"`
	// QuietFrom and QuietTo are times of day as "22:00", by this machine's clock,
	// between which nothing alerts; both empty for never.
	QuietFrom string `json:"quiet_from,omitempty"`
	QuietTo   string `json:"quiet_to,omitempty"`
	// TeamMentions lets a mention by somebody of the team through all the same, in
	// quiet hours and in DoNotDisturb.
	TeamMentions bool `json:"team_mentions"`
	// Rooms holds the level of the conversations that are not on their usual one:
	// AlertAll for direct chats and private rooms, AlertMentions for open ones.
	Rooms map[RoomID]string `json:"rooms,omitempty"`
	// DesktopProblem says in a sentence why the desktop can't show notifications.
	DesktopProblem string `json:"desktop_problem,omitempty"`
}

// What a notification shows.
const (
	PreviewText    = "text"    // who, and what they say
	PreviewName    = "name"    // who
	PreviewNothing = "nothing" // that there is something
)

// Alert calls this person to a conversation. A burst of messages is one alert.
type Alert struct {
	Room    string `json:"room"`
	RoomID  RoomID `json:"room_id"`
	From    Author `json:"from"`           // of the newest message
	Count   int    `json:"count"`          // messages since it was last read that may alert
	Text    string `json:"text,omitempty"` // of the newest, as far as Preview allows; one line
	Mention bool   `json:"mention,omitempty"`
	// Silent says that only what was told before has changed: nothing rings again.
	Silent bool `json:"silent,omitempty"`
}
