package wording

import (
	"strings"
	"testing"
	"time"

	"earshot/chat"
)

func TestWordsForHowFarAMessageHasCome(t *testing.T) {
	for _, c := range []struct {
		s          chat.MessageState
		mark, want string
	}{
		{chat.MessageState{State: chat.StateHere, Of: 1}, "·", "here only"},
		{chat.MessageState{State: chat.StateHeld, Of: 1, Held: 2}, "✓", "held by 2"},
		{chat.MessageState{State: chat.StateDelivered, Of: 1, Delivered: 1, Held: 2}, "✓✓", "delivered"},
		{chat.MessageState{State: chat.StateRead, Of: 1, Delivered: 1, Read: 1}, "✓✓", "read"},
		{chat.MessageState{State: chat.StateHere, Of: 9, Delivered: 5}, "✓", "delivered to 5 of 9"},
		{chat.MessageState{State: chat.StateDelivered, Of: 9, Delivered: 9}, "✓✓", "delivered to all 9"},
		{chat.MessageState{State: chat.StateDelivered, Of: 9, Delivered: 9, Read: 7}, "✓✓", "read by 7 of 9"},
		{chat.MessageState{State: chat.StateRead, Of: 9, Delivered: 9, Read: 9}, "✓✓", "read by all 9"},
	} {
		if mark, words := Mark(c.s), State(c.s); mark != c.mark || words != c.want {
			t.Errorf("%+v: %s %q, want %s %q", c.s, mark, words, c.mark, c.want)
		}
	}
}

func TestWordsForWhoHoldsAMessage(t *testing.T) {
	phone := chat.DeviceID{1}
	device := func(d chat.DeviceID) string {
		if d == phone {
			return "phone"
		}
		return ""
	}
	bob := chat.Recipient{Name: "Bob", State: chat.StateHere}
	own, carol, keeper, stick := chat.Holder{Kind: "own", Device: phone}, chat.Holder{Kind: "contact", Name: "Carol"}, chat.Holder{Kind: "keeper", Name: "Dan"}, chat.Holder{Kind: "carried"}
	for _, c := range []struct {
		to   []chat.Recipient
		by   []chat.Holder
		want string
	}{
		{[]chat.Recipient{bob}, nil, ""},
		{[]chat.Recipient{{Name: "Bob", State: chat.StateRead}}, []chat.Holder{own}, ""},
		{[]chat.Recipient{bob}, []chat.Holder{carol, carol}, "held by Carol; it reaches Bob when they meet"},
		{[]chat.Recipient{bob}, []chat.Holder{own, carol}, "held by your phone and Carol; it reaches Bob when one of these meets Bob"},
		{[]chat.Recipient{bob, {Name: "Eve", State: chat.StateRead}}, []chat.Holder{{Kind: "own"}, carol, keeper, {Kind: "member", Name: "Fay"}}, "held by another device of yours, Carol and 2 others; it reaches Bob when one of these meets Bob"},
		{[]chat.Recipient{bob, {Name: "Eve", State: chat.StateHere}}, []chat.Holder{carol, own}, "held by Carol and your phone; it reaches Bob and Eve as they meet"},
		{[]chat.Recipient{bob}, []chat.Holder{stick}, "carried out by hand; it reaches Bob where that is carried in"},
		{[]chat.Recipient{bob}, []chat.Holder{keeper, stick}, "held by Dan's keeper; it reaches Bob when they meet, or where it is carried in by hand"},
	} {
		if got := Held(chat.MessageDetail{Recipients: c.to, Holders: c.by}, device); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	two := []chat.DeviceState{{Holds: true}, {}}
	for _, c := range []struct {
		r    chat.Recipient
		want string
	}{
		{chat.Recipient{State: chat.StateRead, Devices: two}, "read 14:05"},
		{chat.Recipient{State: chat.StateDelivered, Devices: two}, "delivered 14:05, on 1 of 2 devices"},
		{chat.Recipient{State: chat.StateHere, Why: "Bob is not here."}, "not delivered yet: Bob is not here."},
		{chat.Recipient{State: chat.StateHere, Devices: []chat.DeviceState{{Full: true}}}, "not delivered yet; their disk is full"},
	} {
		if got := Recipient(c.r, "14:05"); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestWordsForWhatIsGone(t *testing.T) {
	for got, want := range map[string]string{
		Removed("Ann", 7, 9): "Ann removed this message (gone on 7 of 9 devices)",
		Removed("You", 0, 0): "You removed this message",
		Removed("", 0, 0):    "This message has disappeared: its time was over",
		Missing(chat.Missing{Count: 4, From: chat.Author{Person: chat.PersonID{1}}}, "Bob"): "4 messages from Bob not received yet",
		Missing(chat.Missing{Count: 1}, ""):                                                 "1 message from somebody unknown not received yet",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAmounts(t *testing.T) {
	for s, want := range map[string]time.Duration{"off": 0, "OFF": 0, "30s": 30 * time.Second, "5m": 5 * time.Minute, "12h": 12 * time.Hour, "1d": day, "2w": 2 * week, "36500d": maxLasting} {
		if got, err := ParseLasting(s); err != nil || got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "1", "d", "-1d", "0d", "1.5d", "1y", "36501d", "99999999999999999999d", "on"} {
		if got, err := ParseLasting(s); chat.CodeOf(err) != chat.CodeUsage || !strings.Contains(err.Error(), "90d") {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for d, want := range map[time.Duration]string{0: "for ever", day: "1 day", 90 * day: "90 days", time.Hour: "1 hour", 90 * time.Minute: "90 minutes", 61 * time.Second: "61 seconds"} {
		if got := Lasting(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	for s, want := range map[string]int64{"1": 1, "500M": 500 << 20, "1G": 1 << 30, "1g": 1 << 30, "2 GiB": 2 << 30, "64KB": 64 << 10, "1T": 1 << 40} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "G", "0", "-1G", "1X", "99999999999999999999", "9999999T", "1.5G"} {
		if got, err := ParseSize(s); chat.CodeOf(err) != chat.CodeUsage {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for n, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 1023: "1023 bytes", 1 << 10: "1 KiB", 1536 << 10: "1.5 MiB", 1 << 30: "1 GiB"} {
		if got := Size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// What people write is never read as more than there can be.
func FuzzAmountsAreRead(f *testing.F) {
	f.Add("1d")
	f.Add("1G")
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseLasting(s); err == nil && (d < 0 || d > maxLasting) {
			t.Errorf("%q lasts %v", s, d)
		}
		if n, err := ParseSize(s); err == nil && (n <= 0 || n > maxSize) {
			t.Errorf("%q is %d bytes", s, n)
		}
	})
}
