package wording

import (
	"strings"
	"testing"
	"time"

	"earshot/chat"
)

func TestWhenAStatusEnds(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	now := time.Date(2026, 11, 23, 14, 30, 10, 0, zone)
	for _, c := range []struct{ lasting, until, want string }{
		{"", "", "0001-01-01T00:00:00Z"},
		{"45m", "", "2026-11-23T15:15:10+02:00"},
		{"2d", "", "2026-11-25T14:30:10+02:00"},
		{"", "15:00", "2026-11-23T15:00:00+02:00"},
		{"", "9:05", "2026-11-24T09:05:00+02:00"},
		{"", "14:30", "2026-11-24T14:30:00+02:00"},
		{"", "2026-12-01T09:00", "2026-12-01T09:00:00+02:00"},
		{"", "2026-12-01 09:00", "2026-12-01T09:00:00+02:00"},
	} {
		if got, err := ParseEnd(c.lasting, c.until, now); err != nil || got.Format(time.RFC3339) != c.want {
			t.Errorf("for %q until %q: %v, %v; want %s", c.lasting, c.until, got, err, c.want)
		}
	}
	for _, c := range []struct{ lasting, until, want string }{
		{"1h", "15:00", "only one"},
		{"off", "", "45m"},
		{"1 hour or so", "", "45m"},
		{"367d", "", "nearer end"},
		{"", "2099-01-01T00:00", "nearer end"},
		{"", "2026-11-23T14:30", "is over"},
		{"", "25:00", "14:00"},
		{"", "tomorrow", "2026-12-01T09:00"},
		{"", "2026-12-01", "2026-12-01T09:00"},
	} {
		if got, err := ParseEnd(c.lasting, c.until, now); chat.CodeOf(err) != chat.CodeUsage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("for %q until %q: %v, %v; want %q in the error", c.lasting, c.until, got, err, c.want)
		}
	}
}

// Where clocks are set, a time of day is tomorrow's of that name.
func TestATimeOfDayWhereClocksAreSet(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("this system knows no zones: ", err)
	}
	now := time.Date(2026, 10, 24, 20, 0, 0, 0, zone)
	if got, err := ParseEnd("", "19:00", now); err != nil || got.Sub(now) != 24*time.Hour {
		t.Errorf("got %v, %v: want the 23 hours and the one that comes twice", got, err)
	}
}
