package tui

import (
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// This file is the sheets about the user's own devices.

// openDevices lists the user's devices.
func (m *model) openDevices() tea.Cmd {
	p := &sheet{title: "Your devices"}
	p.build = func() content {
		if m.devices == nil {
			return content{text: []para{plain("Reading which devices are yours" + m.glyphs.pending)}}
		}
		c := content{text: []para{plain("Each of these is you: it reads what you can read, and what it writes is yours.")}}
		for _, d := range m.devices {
			c.items = append(c.items, m.deviceItem(d))
		}
		c.items = append(c.items,
			item{
				id: "add", key: "a", label: "Add a device" + m.glyphs.pending, note: "Shows a code here that you type on the new one.",
				do: func() tea.Cmd { return m.openAddDevice() },
			},
			item{
				id: "join", key: "j", label: "Make this device one of another's" + m.glyphs.pending, note: "For a device that is new here: type the code that your other device shows.",
				do: func() tea.Cmd { m.openJoinDevice(); return nil },
			})
		return c
	}
	m.push(p)
	return m.loadDevices(p)
}

// loadDevices asks which devices are the user's, for a sheet or, with nil, because
// they have changed.
func (m *model) loadDevices(p *sheet) tea.Cmd {
	var list []chat.OwnDevice
	return m.act(p, func(ctx context.Context) (err error) {
		list, err = m.client.Devices(ctx)
		return err
	}, func() tea.Cmd {
		m.devices = list
		if top := m.sheet(); top != nil {
			m.sheetTop(top)
		}
		return nil
	})
}

func (m *model) deviceItem(d chat.OwnDevice) item {
	label := d.Device.Short()
	if d.Label != "" {
		label = shownName(d.Label)
	}
	it := item{id: string(d.Device[:]), label: label, tag: d.Device.Short()}
	mark := m.glyphs.gone
	switch {
	case d.Revoked:
		mark, it.note = m.glyphs.blocked, "Revoked: it reads nothing that is said since."
	case d.This:
		mark, it.note = m.glyphs.here, "This device."
	case d.Presence == chat.Here:
		mark, it.note = m.glyphs.here, "Here now."
	case !d.LastSeen.IsZero():
		it.note = "Last seen " + m.when(d.LastSeen) + "."
	default:
		it.note = "Not seen from here yet."
	}
	it.label = mark + " " + it.label
	it.do = func() tea.Cmd {
		switch {
		case d.Revoked:
			m.say("A revoked device stays revoked. To use that computer again, add it as a new device.", false)
		case d.This:
			m.say("This is the device that you sit at: it can't revoke itself.", false)
		default:
			m.askRevoke(d, label)
		}
		return nil
	}
	return it
}

func (m *model) askRevoke(d chat.OwnDevice, label string) {
	m.question("Revoke "+label+"?",
		"It stops being you, for good: it reads nothing that is said from now on, and nobody takes what it writes for yours. "+
			"Before the next message the devices of everyone you talk with make new keys, as they learn of it.\n\n"+
			"What is on it stays readable to whoever holds it: revoking a stolen device does not erase it.\n\nThis can't be undone; the computer can be added again as a new device.",
		"revoke "+label, func(p *sheet) tea.Cmd {
			return m.act(p, func(ctx context.Context) error { return m.client.RevokeDevice(ctx, d.Device) },
				m.doneAll(label+" is revoked."))
		})
}

// openAddDevice shows a code for a new device.
func (m *model) openAddDevice() tea.Cmd {
	m.pairing = chat.Pairing{}
	p := &sheet{title: "Add a device"}
	p.build = func() content { return m.pairingContent(p, false) }
	m.push(p)
	var begun chat.Pairing
	return m.act(p, func(ctx context.Context) (err error) {
		begun, err = m.client.AddDevice(ctx)
		return err
	}, func() tea.Cmd {
		if m.pairing.State == "" { // an event may have been faster
			m.pairing = begun
		}
		m.sheetTop(p)
		return nil
	})
}

// openJoinDevice takes the code that the user's other device shows.
func (m *model) openJoinDevice() {
	p := &sheet{title: "Make this device one of another's", field: newField("The code on your other device", "")}
	p.field.bytes = 512
	p.field.empty = "8 digits, or the text of the QR code"
	p.build = func() content {
		return content{
			text: []para{plain("On the device that you have used until now choose Devices, then Add a device. " +
				"Once both have confirmed, this device is you: others see it under the name of the other one, and who you were here until now is given up. What was said here stays.")},
			items: []item{{id: "join", label: "Look for the other device", do: func() tea.Cmd {
				code := strings.TrimSpace(p.field.in.text)
				if code == "" {
					p.problem = "Type the code first."
					return nil
				}
				m.pairing = chat.Pairing{}
				var begun chat.Pairing
				return m.act(p, func(ctx context.Context) (err error) {
					begun, err = m.client.JoinDevice(ctx, code, "")
					return err
				}, func() tea.Cmd {
					m.drop(p)
					if m.pairing.State == "" {
						m.pairing = begun
					}
					next := &sheet{title: p.title}
					next.build = func() content { return m.pairingContent(next, true) }
					m.push(next)
					return nil
				})
			}}},
		}
	}
	m.push(p)
}

// pairingContent is how far the adding of a device has come.
func (m *model) pairingContent(p *sheet, joins bool) content {
	pr := m.pairing
	confirm := func(yes bool) func() tea.Cmd {
		return func() tea.Cmd {
			return m.act(p, func(ctx context.Context) error { return m.client.ConfirmDevice(ctx, yes) }, func() tea.Cmd {
				if !yes {
					m.drop(p)
				} else if m.pairing.State == chat.PairingConfirm {
					p.problem = ""
					m.say("Confirmed here. Confirm it on the other device too.", false)
				}
				return nil
			})
		}
	}
	stop := item{id: "stop", key: "x", label: "Call it off", do: func() tea.Cmd {
		return m.act(p, func(ctx context.Context) error { return m.client.CancelPairing(ctx) }, func() tea.Cmd { m.drop(p); return nil })
	}}
	switch pr.State {
	case chat.PairingCode:
		if pr.Code == "" {
			return content{text: []para{strong("Looking for the device that shows this code" + m.glyphs.pending)}, items: []item{stop}}
		}
		c := content{text: []para{
			plain("On the new device run `earshot device join`, or choose Devices there, and type this code:"), plain(""),
			{drawn: m.bigDigits(pr.Code)},
			plain(""),
			plain("Let nobody else see it: whoever types it first can ask to be you. You will see the new device here and confirm it. It holds " + m.untilWords(pr) + "."),
		}}
		if pr.QR != "" {
			c.items = append(c.items, item{id: "qr", key: "q", label: "Show it as a QR code" + m.glyphs.pending, do: func() tea.Cmd {
				m.openQR("For your new device to scan", pr.QR)
				return nil
			}})
		}
		c.items = append(c.items, stop)
		return c
	case chat.PairingConfirm:
		label := "A device"
		if pr.Label != "" {
			label = shownName(pr.Label)
		}
		will := "Is it in your hands? Then it becomes you: it reads what you can read, and what it writes is yours."
		if joins {
			will = "Is it yours? Then this device becomes one of that person's, and who you were here until now is given up."
		}
		return content{
			text: []para{
				strong(label), plain(pr.Device.String()), faint("and this device"), faint(m.me.Device.String()), plain(""),
				plain("Both have proved that they know the code. The other one shows the same two ids, the other way round. " + will),
			},
			items: []item{
				{id: "no", key: "n", label: "No, stop here", do: confirm(false)},
				{id: "yes", key: "y", label: "Yes, it is my device", do: confirm(true)},
			},
		}
	case chat.PairingDone:
		return content{text: []para{
			strong("Done: the two devices are one person now."), plain(""),
			plain("What was said before comes over while both are here. Messages written on one stand as your own on the other."),
		}}
	case chat.PairingFailed:
		return content{text: []para{
			alarm("The device was not added. " + safeText(pr.Reason)), plain(""),
			plain("Nothing has changed. Begin again with a new code."),
		}}
	}
	return content{text: []para{plain("Asking the node" + m.glyphs.pending)}}
}

func (m *model) untilWords(pr chat.Pairing) string {
	if pr.Expires.IsZero() {
		return "for a few minutes"
	}
	return "until " + pr.Expires.In(m.who.local).Format("15:04:05")
}
