// Package ipvs holds no code, only the proof on a real kernel that the director
// programs IPVS as Debian's ipvsadm does, repairs what others change, keeps
// counters over reloads, switches the sync daemons with its role, and is quick.
// "make lab RUN=ipvs" runs it.
package ipvs
