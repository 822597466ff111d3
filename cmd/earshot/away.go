package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"earshot/chat"
	"earshot/cmd/earshot/wording"
	"earshot/node/api/client"
)

// This file is what is done for people who are away: keepers, and carrying by hand.

func runKeeperOn(ctx context.Context, a *app, _ []string) error {
	space, err := wording.ParseSize(a.opt.space)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("This node may fill up to %s of the disk with sealed messages for others, which your contacts bring. It can't read them. Your contacts see that it is a keeper.", wording.Size(space))
	if err := a.sure(ctx, what); err != nil {
		return err
	}
	return a.with(ctx, need{}, func(s *session) error {
		k, err := s.SetKeeper(ctx, true, space)
		if err != nil {
			return err
		}
		if err := a.p.keeper(k); err != nil {
			return err
		}
		if s.mine() != nil {
			a.p.note("No node is running now: a keeper is of use while one does. `earshot daemon` starts it.")
		}
		return nil
	})
}

func runKeeperOff(ctx context.Context, a *app, _ []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		k, err := s.Keeper(ctx)
		if err != nil {
			return err
		}
		if k.On && k.Held > 0 {
			what := fmt.Sprintf("This node holds %s for others (%s). It takes no more for your contacts than any device does, and what is over that is let go of; those who sent it still have it.", wording.Count(k.Held, "message"), wording.Size(k.Used))
			if err := a.sure(ctx, what); err != nil {
				return err
			}
		}
		if k, err = s.SetKeeper(ctx, false, 0); err != nil {
			return err
		}
		return a.p.keeper(k)
	})
}

func runKeeperStatus(ctx context.Context, a *app, _ []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		k, err := s.Keeper(ctx)
		if err != nil {
			return err
		}
		return a.p.keeper(k)
	})
}

func (p *printer) keeper(k chat.Keeper) error {
	if p.json {
		return p.object(k)
	}
	return p.line("%s", keeper(k))
}

// keeper says what a node holds for others.
func keeper(k chat.Keeper) string {
	holds := "It holds nothing now."
	if k.Held > 0 {
		holds = fmt.Sprintf("It holds %s, %s.", wording.Count(k.Held, "sealed message"), wording.Size(k.Used))
	}
	if !k.On {
		return "This node is no keeper; it holds a little for people you know all the same. " + holds
	}
	return fmt.Sprintf("This node is a keeper, and gives up to %s to messages for people who are away. %s", wording.Size(k.Space), holds)
}

func sayKeeper(ctx context.Context, c *client.Client, _, _ string) (string, error) {
	k, err := c.Keeper(ctx)
	if err != nil {
		return "", err
	}
	return keeper(k), nil
}

// carryEnding ends the names of files that carry out makes in a directory.
const carryEnding = ".earshot-carry"

// carriedFile is what carry prints with --json, for each file.
type carriedFile struct {
	File string `json:"file"`
	chat.Carried
	Error *chat.Error `json:"error,omitempty"` // what was whole before it has been taken
}

// stickSees says what a finder learns.
const stickSees = "Whoever finds it sees how many there are, about how large, of when, and who sealed them: the ids of person and device, and what the device is called; not what they say, nor for whom they are."

func runCarryOut(ctx context.Context, a *app, args []string) error {
	file := args[0]
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		file = a.p.newCarryFile(file)
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return carryFailed(file, err)
		}
		return chat.Errorf(chat.CodeUsage, "%s is there already, and carrying out overwrites nothing. Choose another name, or a directory.", cell(file))
	}
	what := fmt.Sprintf("Sealed messages go into %s: yours that have not arrived, and those you hold for others. %s", cell(file), stickSees)
	if err := a.sure(ctx, what); err != nil {
		return err
	}
	return a.with(ctx, need{}, func(s *session) error {
		// Under its name stands only what is whole.
		f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.part") // mode 0600
		if err != nil {
			return carryFailed(file, err)
		}
		defer func() { _ = os.Remove(f.Name()) }() // where it was renamed there is none
		carried, err := s.CarryOut(ctx, f)
		if err == nil {
			err = f.Sync() // a stick is pulled soon
		}
		if err = errors.Join(err, f.Close()); err == nil {
			err = os.Rename(f.Name(), file)
		}
		if err != nil {
			return carryFailed(file, err)
		}
		if a.p.json {
			return a.p.object(carriedFile{File: file, Carried: carried})
		}
		return a.p.line("%s", carriedOut(file, carried))
	})
}

// newCarryFile returns the name of a file that is not there yet.
func (p *printer) newCarryFile(dir string) string {
	stem := filepath.Join(dir, p.now().In(p.zone).Format("2006-01-02-150405"))
	file := stem + carryEnding
	for n := 2; n < 100; n++ { // several nodes may share a stick, and a second
		if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
			break
		}
		file = fmt.Sprintf("%s-%d%s", stem, n, carryEnding)
	}
	return file
}

func carriedOut(file string, c chat.Carried) string {
	if c.Entries == 0 && c.Held == 0 {
		return fmt.Sprintf("Nothing waits for anybody: %s holds no message, only word of what has arrived.", cell(file))
	}
	return fmt.Sprintf("%s holds %s of yours for others, and %s that you hold for others. Take it to them: earshot carry in FILE",
		cell(file), entries(c.Entries), wording.Count(c.Held, "sealed message"))
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

func carryFailed(file string, err error) error {
	var e *chat.Error
	if errors.As(err, &e) || errors.Is(err, context.Canceled) {
		return err
	}
	code := chat.CodeUsage
	if errors.Is(err, syscall.ENOSPC) {
		code = chat.CodeDiskFull
	}
	return chat.Wrap(code, err, cell(file)+" could not be written: "+err.Error()+".", "Check the stick and its space, or choose another place.")
}

func runCarryIn(ctx context.Context, a *app, args []string) error {
	files, err := carryFiles(args[0])
	if err != nil {
		return err
	}
	return a.with(ctx, need{network: true}, func(s *session) error {
		return s.passOn(ctx, chat.Room{}, func() error {
			var failed error
			for _, file := range files {
				carried, err := carryIn(ctx, s.Client, file)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err != nil && failed == nil {
					failed = err
				}
				if err := a.p.carriedIn(file, carried, err, len(files) > 1); err != nil {
					return err
				}
			}
			return failed
		})
	})
}

// carryFiles returns what there is to take in at a path.
func carryFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, chat.Wrap(chat.CodeUsage, err, cell(path)+" can't be read: "+err.Error()+".", "Name a file that `earshot carry out` wrote, or the directory it is in.")
	case !info.IsDir():
		return []string{path}, nil
	}
	files, err := filepath.Glob(filepath.Join(globQuote(path), "*"+carryEnding))
	if err == nil && len(files) == 0 {
		return nil, chat.Errorf(chat.CodeUsage, "%s holds no file whose name ends with %s. Name the file that `earshot carry out` wrote.", cell(path), carryEnding)
	}
	return files, err
}

// globQuote makes a path that filepath.Glob takes as it is.
func globQuote(path string) string {
	var quoted []rune
	for _, r := range path {
		switch r {
		case '*', '?', '[':
			quoted = append(quoted, '[', r, ']')
		default:
			quoted = append(quoted, r)
		}
	}
	return string(quoted)
}

func carryIn(ctx context.Context, c *client.Client, file string) (chat.Carried, error) {
	f, err := os.Open(file)
	if err != nil {
		return chat.Carried{}, chat.Wrap(chat.CodeUsage, err, cell(file)+" can't be read: "+err.Error()+".", "Check the stick, and who may read it.")
	}
	defer f.Close()
	return c.CarryIn(ctx, f)
}

// carriedIn tells what a file has brought, and if it is one of many what is wrong with
// it; of a single one the command's own error tells.
func (p *printer) carriedIn(file string, c chat.Carried, failed error, many bool) error {
	if p.json {
		return p.object(carriedFile{file, c, chat.AsError(failed)})
	}
	if failed != nil && many {
		p.note("%s: %s", cell(file), cell(chat.AsError(failed).Error()))
	}
	if failed != nil && c == (chat.Carried{}) {
		return nil
	}
	what := "nothing that was not here already"
	if c.Entries > 0 {
		what = fmt.Sprintf("%s in %s", wording.Count(c.Messages, "new message"), wording.Count(c.Rooms, "conversation"))
	}
	if c.Held > 0 {
		what += fmt.Sprintf(", and %s to hold for others", wording.Count(c.Held, "sealed message"))
	}
	if c.Refused > 0 {
		what += fmt.Sprintf("; %s not taken: over what may be held, expired or damaged", wording.Count(c.Refused, "message"))
	}
	return p.line("%s brought %s.", cell(filepath.Base(file)), what)
}
