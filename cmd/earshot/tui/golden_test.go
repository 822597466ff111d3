package tui

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"earshot/chat"
)

var update = flag.Bool("update", false, "write testdata/*.screen anew")

// scenes are screens kept as text, to be read by people as well as by the test.
var scenes = map[string]func(t *testing.T, width, height int) *stage{
	"alone": func(t *testing.T, w, h int) *stage {
		return open(t, newFake(), w, h)
	},
	"office": func(t *testing.T, w, h int) *stage {
		f := office()
		script(f)
		return open(t, f, w, h)
	},
	"office-graphemes": func(t *testing.T, w, h int) *stage {
		f := office()
		script(f)
		s := open(t, f, w, h)
		s.send(tea.ModeReportMsg{Mode: ansi.ModeUnicodeCore, Value: ansi.ModeReset})
		return s
	},
	"many-rooms": func(t *testing.T, w, h int) *stage {
		f := office()
		for i := range 60 {
			f.room(fmt.Sprintf("#project-%02d", i))
			f.person(fmt.Sprintf("Colleague %02d", i), []chat.Presence{chat.Here, chat.Gone}[i%2])
		}
		f.rooms[40].Unread, f.rooms[5].Unread = 7, 1
		s := open(t, f, w, h)
		for range 30 {
			s.press("ctrl+n")
		}
		return s
	},
	"busy": func(t *testing.T, w, h int) *stage {
		f := office()
		script(f)
		s := open(t, f, w, h)
		ann := f.author("Ann")
		s.press("pgup")
		s.hear(chat.Lobby, ann, "You do not see this yet.")
		s.hear(chat.Lobby, ann, "Nor this.")
		s.event(chat.TypingEvent{Room: chat.Lobby, RoomID: chat.OpenRoom(chat.Lobby), From: f.author("王小明"), Typing: true})
		s.press("A reply that is", "alt+enter", "two lines long, with a 👩‍🚀 and a 漢字, and longer than the line.")
		return s
	},
	"unread": func(t *testing.T, w, h int) *stage {
		f := office()
		script(f)
		for i := range 30 {
			f.say(chat.Lobby, f.author("דנה"), fmt.Sprintf("Message %d, said while nobody looked.", i+1))
		}
		lobby := chat.OpenRoom(chat.Lobby)
		f.rooms[0].ReadUpTo, f.rooms[0].Unread = &f.said[lobby][8].ID, 30
		return open(t, f, w, h)
	},
	"failed": func(t *testing.T, w, h int) *stage {
		f := office()
		f.fail["send"] = chat.Errorf(chat.CodeDiskFull, "There is no space left on the disk. Free some and send again.")
		s := open(t, f, w, h)
		s.press("Can you hear me?", "enter")
		return s
	},
	"help": func(t *testing.T, w, h int) *stage {
		s := open(t, office(), w, h)
		s.press("f1")
		return s
	},
}

func TestScreens(t *testing.T) {
	for name, scene := range scenes {
		sizes := [][2]int{{40, 10}, {80, 24}, {120, 40}}
		if socialScenes[name] != nil || talkScenes[name] != nil && name != "talk" {
			sizes = sizes[1:]
		}
		for _, size := range sizes {
			file := fmt.Sprintf("%s-%dx%d.screen", name, size[0], size[1])
			t.Run(file, func(t *testing.T) {
				got := scene(t, size[0], size[1]).screen() + "\n"
				path := filepath.Join("testdata", file)
				if *update {
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatalf("%v; write it with go test -update, then read it", err)
				}
				if got != string(want) {
					t.Errorf("the screen has changed; if it is meant, write it anew with go test -update\ngot:\n%swant:\n%s", got, want)
				}
			})
		}
	}
}
