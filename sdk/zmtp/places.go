package zmtp

import (
	"net"
	"slices"
	"time"
)

// Keep says whose connection this is: its peer has shown it. From then on it is no
// stranger's, and is closed for nobody else. Of one owner a Listener keeps MaxKept
// connections: the one that was heard longest ago makes room for another.
func (c *Conn) Keep(owner string) {
	if c.keep != nil {
		c.keep(owner)
	}
}

// origin is where a peer comes from: its address, or of IPv6 its network, in which a
// PC may choose addresses.
func origin(nc net.Conn) string {
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	ip := tcp.AddrPort().Addr().Unmap()
	if ip.Is4() {
		return ip.String()
	}
	network, _ := ip.Prefix(64) // an address of 128 bits has it
	return network.String()
}

// mostCommon returns the first of those that come from where most come from.
func mostCommon[T any](peers []T, raw func(T) net.Conn) int {
	count, most := map[string]int{}, 0
	from := make([]string, len(peers))
	for i, p := range peers {
		from[i] = origin(raw(p))
		count[from[i]]++
		most = max(most, count[from[i]])
	}
	return slices.IndexFunc(from, func(f string) bool { return count[f] == most })
}

// admit enters nc into the handshakes under way. When there are too many the oldest
// makes room, of those that come from where most come from: an honest peer's takes
// far less time than all others'.
func (z *Listener) admit(nc net.Conn) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.screened) >= maxScreened {
		i := mostCommon(z.screened, func(nc net.Conn) net.Conn { return nc })
		z.screened[i].Close()
		z.screened = slices.Delete(z.screened, i, i+1)
	}
	z.screened = append(z.screened, nc)
}

// finish takes nc, which came at a time, out of the handshakes under way and reports
// whether it may stay, as c.
func (z *Listener) finish(nc net.Conn, c *Conn, good bool, came time.Time) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	if i := slices.Index(z.screened, nc); i >= 0 {
		z.screened = slices.Delete(z.screened, i, i+1)
	}
	if !good || c.name == "" && len(z.strangers) >= z.opts.MaxConns && !z.displace() {
		return false
	}
	c.heard.Store(int64(time.Since(began)))
	c.closed = func() { z.release(c) }
	c.keep = func(owner string) {
		z.mu.Lock()
		defer z.mu.Unlock()
		z.enter(c, owner)
	}
	z.strangers = append(z.strangers, c)
	switch {
	case c.name != "":
		z.enter(c, c.name)
	case z.opts.Strangers > 0:
		c.late = time.AfterFunc(time.Until(came.Add(z.opts.Strangers)), func() { c.raw.Close() })
	}
	return true
}

// displace closes the connection of a stranger and reports whether that made room.
// Those that are still being served count as well, up to as many again: what peers
// may take stays bounded. The caller holds z.mu.
func (z *Listener) displace() bool {
	if !z.opts.Displace || z.leaving >= z.opts.MaxConns {
		return false
	}
	i := mostCommon(z.strangers, func(c *Conn) net.Conn { return c.raw })
	z.strangers[i].raw.Close()
	z.strangers = slices.Delete(z.strangers, i, i+1)
	z.leaving++
	return true
}

// enter makes a connection an owner's. One that was displaced is closed already. The
// caller holds z.mu.
func (z *Listener) enter(c *Conn, owner string) {
	if c.owner == owner && slices.Contains(z.kept[owner], c) || !z.leave(c) {
		return
	}
	if c.late != nil {
		c.late.Stop()
	}
	c.owner = owner
	all := append(z.kept[owner], c)
	if len(all) > z.opts.MaxKept {
		longest := 0
		for i, other := range all[:len(all)-1] {
			if other.heard.Load() < all[longest].heard.Load() {
				longest = i
			}
		}
		all[longest].raw.Close()
		all = slices.Delete(all, longest, longest+1)
		z.leaving++
	}
	z.kept[owner] = all
}

// leave takes a connection from where it is and reports whether it was anywhere. The
// caller holds z.mu.
func (z *Listener) leave(c *Conn) bool {
	if i := slices.Index(z.strangers, c); i >= 0 {
		z.strangers = slices.Delete(z.strangers, i, i+1)
		return true
	}
	all := z.kept[c.owner]
	i := slices.Index(all, c)
	if i < 0 {
		return false
	}
	if all = slices.Delete(all, i, i+1); len(all) == 0 {
		delete(z.kept, c.owner)
	} else {
		z.kept[c.owner] = all
	}
	return true
}

func (z *Listener) release(c *Conn) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if c.late != nil {
		c.late.Stop()
	}
	if !z.leave(c) {
		z.leaving--
	}
}
