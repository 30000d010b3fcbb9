package scheduler

import "systole/crm/status"

func (r *run) createNotifications(id status.ResID) {}
