package wire

import "earshot/chat"

// The frames of this file are what people tell of themselves (PROTOCOL.md#profiles):
// ShownProfile on a peer stream, OwnProfile between the devices of one person.
const (
	TypeShownProfile FrameType = 54
	TypeOwnProfile   FrameType = 55
)

// Limits of these frames.
const (
	// maxProfileParts bounds the parts of one's own profile; there are 5 today.
	maxProfileParts = 32
	// maxAudience bounds a chat.Audience, in bytes: as many groups as there may be,
	// each with a comma.
	maxAudience = len(chat.InGroups) + chat.MaxGroups*(chat.MaxGroupName+1)
)

// ShownProfile is what its sender's person shows the receiver of their profile: all of it, so
// that what is not there is not to be seen, or no more.
type ShownProfile struct {
	Version    uint64 `cbor:"1,keyasint"` // chat.HLC of the newest change of the profile; not 0
	Title      string `cbor:"2,keyasint,omitempty"`
	Department string `cbor:"3,keyasint,omitempty"`
	Email      string `cbor:"4,keyasint,omitempty"`
	Location   string `cbor:"5,keyasint,omitempty"`
	Phone      string `cbor:"6,keyasint,omitempty"`
}

// ProfilePart is a part of one's own profile, and who may see it.
type ProfilePart struct {
	_    struct{} `cbor:",toarray"`
	Part uint8    // its key in ShownProfile
	Text string
	For  string // a chat.Audience
}

// OwnProfile is a person's whole profile. That with the latest Version counts on all of
// their devices.
type OwnProfile struct {
	Version uint64        `cbor:"1,keyasint"` // chat.HLC of the change; not 0
	Parts   []ProfilePart `cbor:"2,keyasint"` // ascending
}

func (ShownProfile) frameType() FrameType { return TypeShownProfile }
func (OwnProfile) frameType() FrameType   { return TypeOwnProfile }

// decodeProfiles reads the frames of this file.
func decodeProfiles(t FrameType, body []byte) (Frame, error) {
	if t == TypeOwnProfile {
		f, err := decodeAs[OwnProfile](body)
		return f, first(err, checkVersion(f.Version), checkParts(f.Parts))
	}
	f, err := decodeAs[ShownProfile](body)
	err = first(err, checkVersion(f.Version))
	for _, part := range []string{f.Title, f.Department, f.Email, f.Location, f.Phone} {
		err = first(err, checkString(part, chat.MaxProfilePart, "part of a profile"))
	}
	return f, err
}

func checkVersion(v uint64) error {
	if v == 0 || v > uint64(chat.MaxHLC) {
		return invalid("a profile of the version %d", v)
	}
	return nil
}

func checkParts(parts []ProfilePart) error {
	if len(parts) > maxProfileParts {
		return invalid("a profile of %d parts, over %d", len(parts), maxProfileParts)
	}
	for i := range parts {
		p := &parts[i]
		if i > 0 && parts[i-1].Part >= p.Part {
			return invalid("a profile whose parts do not ascend")
		}
		if err := first(checkString(p.Text, chat.MaxProfilePart, "part of a profile"), checkString(p.For, maxAudience, "audience")); err != nil {
			return err
		}
	}
	return nil
}
