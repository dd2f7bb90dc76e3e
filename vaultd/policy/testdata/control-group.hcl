path "secret/data/payroll" {
  capabilities  = ["read"]
  control_group = {
    ttl = "4h"
    factor "leads" {
      identity {
        group_names = ["leads"]
        approvals   = 2
      }
    }
  }
}
