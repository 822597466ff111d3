package qrcode

import (
	"flag"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"earshot/chat"
)

var update = flag.Bool("update", false, "write testdata anew")

// modules reads the drawing back: true for dark.
func modules(t *testing.T, lines []string) [][]bool {
	t.Helper()
	var out [][]bool
	for _, line := range lines {
		var upper, lower []bool
		for _, r := range line {
			if !strings.ContainsRune(" █▀▄", r) {
				t.Fatalf("%q stands in a code", r)
			}
			upper = append(upper, r == '█' || r == '▀')
			lower = append(lower, r == '█' || r == '▄')
		}
		out = append(out, upper, lower)
	}
	return out
}

func TestACodeIsDrawnAsScannersNeedIt(t *testing.T) {
	for _, text := range []string{"1", "EARSHOT:1:ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", strings.Repeat("a", MaxText)} {
		lines, err := Lines(text)
		if err != nil {
			t.Fatal(err)
		}
		grid := modules(t, lines)
		size := len(grid[0]) - 2*quiet
		if size%4 != 1 || size < 21 || len(grid) < size+2*quiet || len(grid) > size+2*quiet+1 {
			t.Fatalf("%d bytes: a code of %d modules in %d rows", len(text), size, len(grid))
		}
		for y, row := range grid {
			if len(row) != size+2*quiet {
				t.Fatalf("row %d is of another width", y)
			}
			for x, dark := range row {
				inside := x >= quiet && x < quiet+size && y >= quiet && y < quiet+size
				if dark && !inside {
					t.Errorf("the margin is dark at %d, %d", x, y)
				}
			}
		}
		// The three squares by which a scanner finds the code.
		for _, corner := range [][2]int{{0, 0}, {size - 7, 0}, {0, size - 7}} {
			for y := range 7 {
				for x := range 7 {
					ring := max(abs(x-3), abs(y-3)) // 0 and 1 dark, 2 light, 3 dark
					if got := grid[quiet+corner[1]+y][quiet+corner[0]+x]; got != (ring != 2) {
						t.Errorf("the square at %v is broken at %d, %d", corner, x, y)
					}
				}
			}
		}
		if width := utf8.RuneCountInString(lines[0]); width > 80-2 {
			t.Errorf("%d bytes take %d columns", len(text), width)
		}
	}
}

func abs(n int) int { return max(n, -n) }

func TestTheDrawingStaysTheSame(t *testing.T) {
	lines, err := Lines("EARSHOT")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(lines, "\n") + "\n"
	const path = "testdata/earshot.txt"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s", got)
	}
}

func TestALongTextIsNoCode(t *testing.T) {
	if _, err := Lines(strings.Repeat("a", MaxText+1)); chat.CodeOf(err) != chat.CodeTooLong {
		t.Errorf("got %v", err)
	}
}
