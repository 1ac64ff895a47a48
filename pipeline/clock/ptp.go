package clock

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"time"

	ptp "github.com/facebook/time/ptp/protocol"
)

// ptpSockets are where releases of linuxptp put the management socket of ptp4l; those
// for reading alone come first.
var ptpSockets = []string{"/var/run/ptp/ptp4lro", "/var/run/ptp/ptp4l", "/var/run/ptp4lro", "/var/run/ptp4l"}

// ptpPatience bounds a question to ptp4l, which answers within milliseconds but where
// the PC is busy.
const ptpPatience = time.Second

// ptpService asks the ptp4l of this PC.
type ptpService struct {
	sockets []string
	domain  uint8
	heard   string // the socket that answered last
	ingress int64  // when its last Sync came, on ptp4l's clock; 0: none
	fresh   time.Time
	card    func(device string) (offset, doubt int64, err error) // the PC's clock minus the card's
}

func newPTP(socket string, domain int) *ptpService {
	p := &ptpService{sockets: ptpSockets, domain: uint8(domain), card: cardOffset}
	if socket != "" {
		p.sockets = []string{socket}
	}
	return p
}

// ask reads ptp4l. new: a Sync came since it was read last. A ptp4l that is not there
// is an error; one that follows nobody is a reading that is lost.
func (p *ptpService) ask() (r Followed, new bool, err error) {
	var all []error
	for _, socket := range p.sockets {
		if p.heard != "" && socket != p.heard {
			continue
		}
		s, err := p.read(socket)
		if err == nil {
			p.heard = socket
			r, new = p.judge(s, time.Now())
			return r, new, nil
		}
		all = append(all, fmt.Errorf("%s: %w", socket, ptpHint(err, p.domain)))
	}
	p.heard = ""
	return Followed{}, false, fmt.Errorf("ask ptp4l: %w", mostTelling(all))
}

// mostTelling returns the first error that is not the absence of a file.
func mostTelling(all []error) error {
	for _, err := range all {
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return all[0]
}

func ptpHint(err error, domain uint8) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer within %v; ptp4l answers for its own domain alone, and %d was asked for (clock.domain)", ptpPatience, domain)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; ptp4l lets root alone ask: run tsrun as root, or give uds_file_mode or uds_ro_file_mode in ptp4l's config", err)
	}
	return err
}

// ptpState is what ptp4l says of itself.
type ptpState struct {
	own     ptp.ClockIdentity
	current *ptp.CurrentDataSetTLV
	parent  *ptp.ParentDataSetTLV
	time    *ptp.TimeStatusNPTLV
	port    *ptp.PortPropertiesNPTLV
}

// read asks all questions over a socket of its own: an answer that comes late would
// be taken for that of the next question.
func (p *ptpService) read(socket string) (s ptpState, err error) {
	if runtime.GOOS != "linux" {
		return s, errors.New("it is asked on Linux alone")
	}
	// A name that is no file needs no directory that both may write to.
	local := &net.UnixAddr{Name: fmt.Sprintf("@tsrun-clock-%d-%x", os.Getpid(), rand.Uint64()), Net: "unixgram"}
	conn, err := net.DialUnix("unixgram", local, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return s, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(ptpPatience)); err != nil {
		return s, err
	}
	c := &ptp.MgmtClient{Connection: conn, DomainNumber: p.domain}
	def, err := c.DefaultDataSet()
	if err != nil {
		return s, err
	}
	s.own = def.ClockIdentity
	if s.current, err = c.CurrentDataSet(); err != nil {
		return s, err
	}
	if s.parent, err = c.ParentDataSet(); err != nil {
		return s, err
	}
	if s.time, err = c.TimeStatusNP(); err != nil {
		return s, err
	}
	if s.port, err = c.PortPropertiesNP(); err != nil {
		return s, err
	}
	for range min(int(def.NumberPorts), 64) - 1 { // each port answers the same question
		if other, err := nextPort(conn); err == nil && portRank(other.PortState) < portRank(s.port.PortState) {
			s.port = other
		}
	}
	return s, nil
}

func nextPort(conn net.Conn) (*ptp.PortPropertiesNPTLV, error) {
	b := make([]byte, 1024)
	n, err := conn.Read(b)
	if err != nil {
		return nil, err
	}
	var m ptp.Management
	if err := m.UnmarshalBinary(b[:n]); err != nil {
		return nil, err
	}
	if p, ok := m.TLV.(*ptp.PortPropertiesNPTLV); ok {
		return p, nil
	}
	return nil, errors.New("another answer")
}

// portRank says which port tells most of the clock.
func portRank(s ptp.PortState) int {
	switch s {
	case ptp.PortStateSlave:
		return 0
	case ptp.PortStateUncalibrated:
		return 1
	case ptp.PortStateMaster, ptp.PortStateGrandMaster:
		return 2
	}
	return 3
}

// judge says what a state is worth. Of a ptp4l whose grandmaster has gone, offset,
// delay and the grandmaster's identity stay as they were: only the state of its port
// and the time of the last Sync tell.
func (p *ptpService) judge(s ptpState, now time.Time) (r Followed, new bool) {
	stamps := "stamps of the kernel"
	hardware := s.port.Timestamping != ptp.TimestampingSoftware
	if hardware {
		stamps = "stamps of the card"
	}
	r = Followed{At: now.UnixNano(), Of: fmt.Sprintf("ptp %s domain %d, %s", s.parent.GrandmasterIdentity, p.domain, stamps), State: s.port.PortState.String()}
	switch portRank(s.port.PortState) {
	case 0, 1:
		if s.time.GMPresent == 0 || s.time.IngressTimeNS == 0 {
			r.Lost = "ptp4l hears no grandmaster"
			return r, true
		}
		if s.time.IngressTimeNS == p.ingress {
			if !p.fresh.IsZero() && now.Sub(p.fresh) > silentAfter {
				r.Lost = fmt.Sprintf("ptp4l has had no Sync of its grandmaster for %v", now.Sub(p.fresh).Round(time.Second))
				return r, true
			}
			return r, false
		}
		first := p.fresh.IsZero()
		p.ingress, p.fresh = s.time.IngressTimeNS, now
		r.Offset, r.Loose = s.time.MasterOffsetNS, int64(2*followEvery)
		delay := max(int64(s.current.MeanPathDelay.Nanoseconds()), 0)
		r.Delay, r.Doubt = 2*delay, delay
		if first { // nobody knows how old that is
			return r, false
		}
	case 2:
		if s.parent.GrandmasterIdentity != s.own {
			r.Lost = "ptp4l serves others and follows nobody, though it is not the grandmaster"
			return r, true
		}
	default:
		r.Lost = fmt.Sprintf("ptp4l follows nobody: its port is %s", s.port.PortState)
		return r, true
	}
	if !hardware {
		return r, true
	}
	offset, doubt, err := p.card(string(s.port.Interface))
	if err != nil {
		r.Lost = fmt.Sprintf("ptp4l keeps the clock of the network card, which could not be compared with the PC's: %v", err)
		return r, true
	}
	r.Offset, r.Doubt = r.Offset+offset, r.Doubt+doubt
	return r, true
}
