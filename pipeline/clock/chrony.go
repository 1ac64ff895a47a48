package clock

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/facebook/time/ntp/chrony"
)

// chronyPort is where chronyd answers who asks how it stands; no privilege is needed.
const chronyPort = "323"

// chronySocket is where it answers root alone.
const chronySocket = "/run/chrony/chronyd.sock"

const (
	chronyPatience = time.Second
	// chronyUpdates is how many of its updates chronyd may miss, and chronySilent the
	// least time, until what it follows counts as gone.
	chronyUpdates = 6
	chronySilent  = 8 * time.Second
	leapUnknown   = 3 // of the status: not synchronised
)

// chronyService asks the chronyd of this PC.
type chronyService struct{}

// ask reads chronyd. A chronyd that is not there is an error; one that is not
// synchronised is a reading that is lost.
func (c chronyService) ask() (Followed, bool, error) {
	t, err := c.tracking()
	if err != nil {
		return Followed{}, false, fmt.Errorf("ask chronyd: %w", err)
	}
	return judgeTracking(t, time.Now()), true, nil
}

func (c chronyService) tracking() (*chrony.Tracking, error) {
	var all error
	for _, host := range []string{"127.0.0.1", "::1"} {
		conn, err := net.Dial("udp", net.JoinHostPort(host, chronyPort))
		if err == nil {
			var t *chrony.Tracking
			if t, err = askTracking(conn); err == nil {
				return t, nil
			}
		}
		all = errors.Join(all, err)
		if !errors.Is(err, syscall.ECONNREFUSED) { // somebody listens, or there is no network
			break
		}
	}
	t, err := trackingOverSocket()
	if err == nil {
		return t, nil
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		all = errors.Join(all, err)
	}
	return nil, all
}

func trackingOverSocket() (*chrony.Tracking, error) {
	name := filepath.Join(filepath.Dir(chronySocket), fmt.Sprintf("tsrun.%d.%x.sock", os.Getpid(), rand.Uint32()))
	conn, err := net.DialUnix("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"}, &net.UnixAddr{Name: chronySocket, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	defer os.Remove(name)
	if err := os.Chmod(name, 0o666); err != nil { // chronyd is not root any more
		conn.Close()
		return nil, err
	}
	return askTracking(conn)
}

// askTracking asks one question and closes the connection: an answer that comes late
// would be taken for that of the next.
func askTracking(conn net.Conn) (*chrony.Tracking, error) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(chronyPatience)); err != nil {
		return nil, err
	}
	answer, err := (&chrony.Client{Connection: conn}).Communicate(chrony.NewTrackingPacket())
	if err != nil {
		return nil, err
	}
	t, ok := answer.(*chrony.ReplyTracking)
	if !ok {
		return nil, fmt.Errorf("an answer of type %T", answer)
	}
	return &t.Tracking, nil
}

// judgeTracking says what the state of chronyd is worth. Its root distance, half the
// delay to the root and the dispersion, bounds the error (RFC 5905, 11.2).
func judgeTracking(t *chrony.Tracking, now time.Time) Followed {
	server := t.IPAddr.String()
	if t.IPAddr == nil {
		host, _ := os.Hostname() // two PCs with receivers of their own follow two references
		server = fmt.Sprintf("reference %08X of %s", t.RefID, host)
	}
	r := Followed{At: now.UnixNano(), Of: ntpServer(server), State: fmt.Sprintf("stratum %d", t.Stratum)}
	age := now.Sub(t.RefTime)
	allowed := max(chronySilent, time.Duration(min(chronyUpdates*t.LastUpdateInterval, 1e6)*float64(time.Second)))
	numbers := []float64{t.CurrentCorrection, t.RootDelay, t.RootDispersion}
	switch {
	case t.LeapStatus == leapUnknown || t.Stratum == 0 || t.Stratum > 15:
		r.Lost = "chronyd is not synchronised"
		return r
	case t.IPAddr == nil && t.RefID == localReference: // the clock itself
	case age > allowed || age < -allowed:
		r.Lost = fmt.Sprintf("chronyd has heard nothing useful of %s for %v", server, age.Round(time.Second))
		return r
	}
	for _, v := range numbers {
		if math.IsNaN(v) || math.Abs(v) > 1e8 {
			r.Lost = "chronyd says numbers that cannot be"
			return r
		}
	}
	r.Offset = int64(math.Round(-t.CurrentCorrection * 1e9)) // what is to be added to the clock
	r.Delay = int64(math.Abs(t.RootDelay) * 1e9)
	r.Doubt = r.Delay/2 + int64(math.Ceil(math.Abs(t.RootDispersion)*1e9))
	return r
}

// localReference is the identity of a chronyd that serves its PC's clock (127.127.1.1).
const localReference = 0x7F7F0101

// ntpServer is the reference of who follows a server at an address.
func ntpServer(address string) string { return "ntp " + address }
