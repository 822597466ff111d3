package contacts

import "time"

// Every bound stands here with its unit and its reason. "Guess" marks a number
// that no measurement stands behind.
const (
	// MaxNote bounds the note of a request, in characters: two lines of text say
	// who one is; more is a message.
	MaxNote = 140
	// maxNoteBytes is the same in bytes.
	maxNoteBytes = 4 * MaxNote
	// MaxTray bounds the requests that wait for this person: more are not read,
	// and identities are free.
	MaxTray = 20
	// TrayLife is how long a request may fill the tray when others want in.
	TrayLife = 14 * 24 * time.Hour
	// DeclineLife is how long a declined person's requests are not shown (guess).
	DeclineLife = 30 * 24 * time.Hour
	// MaxPeople bounds the people with whom there is a relation (guess: ten times
	// what a large company's address book needs on one LAN).
	MaxPeople = 5000
	// maxRemembered bounds the strangers who are remembered: those declined, and
	// those forgotten, of whom other devices of this person may not know yet. The
	// one of longest ago goes first (guess).
	maxRemembered = 1024
	// MaxMessage bounds a contact message, in bytes: the largest takes under 1,100.
	MaxMessage = 1200
	// NonceSize is the length of a request's nonce in bytes.
	NonceSize = 16

	// rateLimit requests in rateTime are read from one device. Their sender
	// repeats more slowly.
	rateLimit = 3
	rateTime  = time.Hour
	// moveLimit changes of the chat with a contact are read in rateTime: each costs
	// a room, and two honest ones agree after two (guess).
	moveLimit = rateLimit
	// maxRates bounds the devices whose requests are counted (guess); the one
	// heard longest ago is forgotten first.
	maxRates = 1024
	// maxHere bounds the people who are connected at a time; a node has far
	// fewer connections.
	maxHere = 4096

	// A message that was not delivered is sent again after firstRetry, then
	// after secondRetry and twice as long each time, up to maxRetry, maxTries
	// times in all: three weeks, and never more than rateLimit in rateTime.
	firstRetry  = time.Minute
	secondRetry = 30 * time.Minute
	maxRetry    = 24 * time.Hour
	maxTries    = 26
	// askAgain is how soon this person can ask the same one again.
	askAgain = secondRetry

	// quietAfter is how long further claims on a name only warn once one was
	// decided: names are free, and nobody shall keep two people from talking by
	// taking one of their names again and again (guess).
	quietAfter = 30 * 24 * time.Hour
	// maxNamesakes bounds the others of one name that are remembered; the oldest
	// is forgotten first (guess).
	maxNamesakes = 16
)
