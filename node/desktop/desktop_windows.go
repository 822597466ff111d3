package desktop

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"

	"earshot/chat"
)

var (
	user32   = windows.NewLazySystemDLL("user32.dll")
	kernel32 = windows.NewLazySystemDLL("kernel32.dll")
	shell32  = windows.NewLazySystemDLL("shell32.dll")
	wtsapi32 = windows.NewLazySystemDLL("wtsapi32.dll")

	getLastInputInfo = user32.NewProc("GetLastInputInfo")
	createWindowEx   = user32.NewProc("CreateWindowExW")
	destroyWindow    = user32.NewProc("DestroyWindow")
	loadIcon         = user32.NewProc("LoadIconW")
	getTickCount     = kernel32.NewProc("GetTickCount")
	shellNotifyIcon  = shell32.NewProc("Shell_NotifyIconW")
	querySession     = wtsapi32.NewProc("WTSQuerySessionInformationW")
	freeMemory       = wtsapi32.NewProc("WTSFreeMemory")
)

// system is how Windows is reached.
type system struct{ tray *tray }

func newSystem() system { return system{&tray{}} }

func (d *Desktop) end() { d.tray.end() }

func (d *Desktop) sources() []source { return []source{{"windows", openInput}} }

// watchers are none: locking is asked for with the rest.
func (d *Desktop) watchers() map[string]func(context.Context, *state) error { return nil }

type lastInput struct{}

func openInput(context.Context) (asker, error) { return lastInput{}, nil }

func (lastInput) ask(context.Context) (reading, error) {
	info := struct{ size, tick uint32 }{size: 8}
	if ok, _, err := getLastInputInfo.Call(uintptr(unsafe.Pointer(&info))); ok == 0 {
		return reading{}, err
	}
	now, _, _ := getTickCount.Call()
	locked, err := sessionLocked()
	// Both count milliseconds, and begin anew after 49.7 days.
	return reading{idle: time.Duration(uint32(now)-info.tick) * time.Millisecond, locked: locked}, err
}

func (lastInput) close() {}

// sessionLocked reports whether the screen of this session is locked.
func sessionLocked() (bool, error) {
	const currentServer, currentSession, sessionInfoEx = 0, ^uint32(0), 25
	// The head of WTSINFOEXW, whose union begins at a multiple of 8.
	type infoEx struct {
		level, _              uint32
		session, state, flags uint32
	}
	const locked = 0 // since Windows 8; WTS_SESSIONSTATE_LOCK
	var info *infoEx
	var size uint32
	ok, _, err := querySession.Call(currentServer, uintptr(currentSession), sessionInfoEx,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)))
	if ok == 0 {
		return false, err
	}
	defer func() { _, _, _ = freeMemory.Call(uintptr(unsafe.Pointer(info))) }()
	if uintptr(size) < unsafe.Sizeof(*info) || info.level != 1 {
		return false, errors.New("the session tells something else of itself")
	}
	return info.flags == locked, nil
}

// tray is Earshot's icon beside the clock, which is there while a notification is.
// Windows shows its balloons as it does other notifications: as plain text, of which
// nothing can be clicked. Libraries that speak with the newer interface write the text
// unescaped into XML or a PowerShell script.
//
// A window belongs to the thread that has made it, so one goroutine has all of it.
type tray struct {
	mu    sync.Mutex
	work  chan trayWork
	ended chan struct{}
}

type trayWork struct {
	note     Note // with an empty Title: withdraw what is shown under Key
	answered chan error
}

func (d *Desktop) show(ctx context.Context, n Note) error { return d.tray.do(ctx, n) }

func (d *Desktop) withdraw(ctx context.Context, key string) error {
	return d.tray.do(ctx, Note{Key: key})
}

func (t *tray) do(ctx context.Context, n Note) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.work == nil {
		t.work, t.ended = make(chan trayWork), make(chan struct{})
		go t.run(t.work, t.ended)
	}
	w := trayWork{n, make(chan error, 1)}
	select {
	case t.work <- w:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-w.answered:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end takes the icon away.
func (t *tray) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.work != nil {
		close(t.work)
		<-t.ended
		t.work = nil
	}
}

// notifyIconData is NOTIFYICONDATAW.
type notifyIconData struct {
	size             uint32
	window           uintptr
	id               uint32
	flags            uint32
	callback         uint32
	icon             uintptr
	tip              [128]uint16
	state, stateMask uint32
	info             [256]uint16
	version          uint32
	title            [64]uint16
	infoFlags        uint32
	guid             windows.GUID
	balloonIcon      uintptr
}

const (
	nimAdd, nimModify, nimDelete = 0, 1, 2
	nifIcon, nifTip, nifInfo     = 2, 4, 0x10
	niifNoSound                  = 0x10
)

func (t *tray) run(work <-chan trayWork, ended chan<- struct{}) {
	defer close(ended)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var data notifyIconData
	data.size, data.id = uint32(unsafe.Sizeof(data)), 1
	key := "" // of what is shown; empty for nothing
	remove := func() {
		if key != "" {
			key = ""
			_, _, _ = shellNotifyIcon.Call(nimDelete, uintptr(unsafe.Pointer(&data)))
		}
	}
	defer func() {
		remove()
		if data.window != 0 {
			_, _, _ = destroyWindow.Call(data.window)
		}
	}()
	for w := range work {
		switch {
		case w.note.Title == "" && w.note.Key == key:
			remove()
			w.answered <- nil
		case w.note.Title == "", w.note.Silent && w.note.Key != key:
			w.answered <- nil // it is not shown
		default:
			err := data.show(w.note, key != "")
			if err == nil {
				key = w.note.Key
			}
			w.answered <- err
		}
	}
}

// show shows a notification in place of the one there is, if there is one.
func (d *notifyIconData) show(n Note, shown bool) error {
	problem := func(err error) error {
		return chat.Wrap(chat.CodeUnreachable, err, "Windows shows no notifications of Earshot's.",
			"Run Earshot where you are logged in, or turn them off: earshot alerts desktop off")
	}
	if d.window == 0 {
		class, _ := windows.UTF16PtrFromString("STATIC")
		const messageOnly = ^uintptr(2) // HWND_MESSAGE, -3
		window, _, err := createWindowEx.Call(0, uintptr(unsafe.Pointer(class)), 0, 0, 0, 0, 0, 0, messageOnly, 0, 0, 0)
		if window == 0 {
			return problem(err)
		}
		const information = 32516 // IDI_INFORMATION
		d.window = window
		d.icon, _, _ = loadIcon.Call(0, information)
	}
	d.flags, d.infoFlags = nifIcon|nifTip|nifInfo, 0
	if n.Silent {
		d.infoFlags = niifNoSound
	}
	fill(d.tip[:], "Earshot")
	fill(d.title[:], n.Title)
	if fill(d.info[:], n.Body); n.Body == "" {
		fill(d.info[:], " ") // an empty one takes the balloon away
	}
	what := uintptr(nimAdd)
	if shown {
		what = nimModify
	}
	if ok, _, err := shellNotifyIcon.Call(what, uintptr(unsafe.Pointer(d))); ok == 0 {
		return problem(err)
	}
	return nil
}

// fill writes as much of s as there is room for, and a zero behind it.
func fill(dst []uint16, s string) {
	clear(dst)
	u := utf16.Encode([]rune(s))
	if len(u) > len(dst)-1 {
		u = u[:len(dst)-1]
		if last := u[len(u)-1]; last >= 0xD800 && last < 0xDC00 {
			u = u[:len(u)-1] // half a character
		}
	}
	copy(dst, u)
}
