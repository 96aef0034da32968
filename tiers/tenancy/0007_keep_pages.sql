-- Notes come and go with each move. Vacuum would give the end of the emptied table back to the disk, and shut it meanwhile to
-- every tenant whose changes are being noted.
alter table tenancy.notes set (vacuum_truncate = false);
