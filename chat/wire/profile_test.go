package wire

import (
	"reflect"
	"strings"
	"testing"

	"earshot/chat"
)

func profileFrames() map[string]Frame {
	return map[string]Frame{
		"profile":       ShownProfile{Version: 1_767_225_600_000_000, Title: "Engineer", Department: "Sales", Email: "alice@example.org", Location: "Room 4.07", Phone: "+49 30 1234567"},
		"profile-empty": ShownProfile{Version: 1},
		"own-profile": OwnProfile{Version: 1_767_225_600_000_000, Parts: []ProfilePart{
			{Part: 2, Text: "Engineer", For: chat.Everyone}, {Part: 6, Text: "+49 30 1234567", For: "groups:board,sales"},
		}},
		"own-profile-empty": OwnProfile{Version: 1, Parts: []ProfilePart{}},
	}
}

func TestFramesOfProfilesDoNotChange(t *testing.T) {
	for name, f := range profileFrames() {
		golden(t, "frame-"+name, EncodeFrame(f))
		got, err := DecodeFrame(readGolden(t, "frame-"+name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, f) {
			t.Errorf("%s: got %#v, want %#v", name, got, f)
		}
	}
	if got := EncodeFrame(OwnProfile{Version: 1}); !reflect.DeepEqual(got, EncodeFrame(profileFrames()["own-profile-empty"])) {
		t.Errorf("a profile of no parts is %x", got)
	}
}

func TestFramesOfProfilesThatBreakTheRulesAreRefused(t *testing.T) {
	long := strings.Repeat("x", chat.MaxProfilePart+1)
	parts := func(p ...ProfilePart) Frame { return OwnProfile{Version: 1, Parts: p} }
	var crowd []ProfilePart
	for i := range maxProfileParts + 1 {
		crowd = append(crowd, ProfilePart{Part: uint8(i)})
	}
	refuse(t, map[string]Frame{
		"a profile of no version":     ShownProfile{Title: "x"},
		"a profile of the far future": ShownProfile{Version: uint64(chat.MaxHLC) + 1},
		"a long title":                ShownProfile{Version: 1, Title: long},
		"a long department":           ShownProfile{Version: 1, Department: long},
		"a long e-mail address":       ShownProfile{Version: 1, Email: long},
		"a long location":             ShownProfile{Version: 1, Location: long},
		"a long phone number":         ShownProfile{Version: 1, Phone: long},
		"a title that is not UTF-8":   ShownProfile{Version: 1, Title: "\xff"},
		"one's own of no version":     OwnProfile{},
		"one's own of the far future": OwnProfile{Version: uint64(chat.MaxHLC) + 1},
		"too many parts":              parts(crowd...),
		"a part twice":                parts(ProfilePart{Part: 2}, ProfilePart{Part: 2}),
		"parts that descend":          parts(ProfilePart{Part: 3}, ProfilePart{Part: 2}),
		"a long part":                 parts(ProfilePart{Part: 2, Text: long}),
		"a long audience":             parts(ProfilePart{Part: 2, For: strings.Repeat("x", maxAudience+1)}),
	})
	full := strings.Repeat("x", chat.MaxProfilePart)
	for _, f := range []Frame{
		ShownProfile{Version: uint64(chat.MaxHLC), Title: full, Department: full, Email: full, Location: full, Phone: full},
		parts(ProfilePart{Part: 255, Text: full, For: strings.Repeat("x", maxAudience)}),
	} {
		if _, err := DecodeFrame(EncodeFrame(f)); err != nil {
			t.Errorf("at its limits: %v", err)
		}
	}
}
