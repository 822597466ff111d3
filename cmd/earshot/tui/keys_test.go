package tui

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// TestHelpTellsTheTruth: every key of the help does something, be it while a
// message is written or while there is none.
func TestHelpTellsTheTruth(t *testing.T) {
	situations := map[string]func(width int) *stage{
		"writing": func(width int) *stage {
			s := open(t, talkative(), width, 12)
			s.press("pgup", "some words", "ctrl+w", "more\u0020words", "enter")
			s.press("pgup", "one two", "ctrl+j", "three four", "ctrl+left", "left")
			return s
		},
		"after a failure": func(width int) *stage {
			f := talkative()
			f.fail["send"] = errors.New("no")
			s := open(t, f, width, 12)
			s.press("unsent", "enter")
			return s
		},
		"reading": func(width int) *stage {
			s := open(t, talkative(), width, 12)
			s.press("pgup", "pgup")
			return s
		},
	}
	for _, b := range bindings {
		for _, key := range strings.Split(b.keys, ", ") {
			works := false
			for _, begin := range situations {
				for _, width := range []int{50, 90} {
					s := begin(width)
					before := state(s)
					switch {
					case key == "wheel":
						s.send(tea.MouseWheelMsg{Button: tea.MouseWheelUp})
					case strings.HasSuffix(key, " twice"):
						k := strings.ToLower(strings.TrimSuffix(key, " twice"))
						s.press(k, k)
					default:
						k := strings.ToLower(key)
						if _, known := named[k]; !known && !strings.HasPrefix(k, "ctrl+") {
							t.Fatalf("the test does not know the key %q", key)
						}
						s.press(k)
					}
					works = works || state(s) != before
				}
			}
			if !works {
				t.Errorf("%s is said to %q and does nothing", key, b.does)
			}
		}
	}
}

// talkative is a node whose rooms have more to say than fits a screen.
func talkative() *fake {
	f := office()
	for i := range 60 {
		f.say(chat.Lobby, f.author("Ann"), fmt.Sprintf("message <%d>", i))
	}
	f.say(chat.Lobby, f.author("Ann"), strings.Repeat("a long story\n", 2*foldLines))
	return f
}

// state is everything that a key may change.
func state(s *stage) string {
	v := s.m.View()
	sent := len(s.f.sent)
	for _, c := range s.m.rooms {
		for _, o := range c.out {
			sent += len(o.failed)
		}
	}
	cursor := "hidden"
	if v.Cursor != nil {
		cursor = fmt.Sprint(v.Cursor.X, v.Cursor.Y)
	}
	return fmt.Sprint(v.Content, v.WindowTitle, v.MouseMode, cursor, s.quit, s.asked, sent, s.f.called("send"))
}
