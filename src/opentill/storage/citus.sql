-- Tells Citus where each table lives: run once, after `opentill data migrate`, on the coordinator:
--
--     psql --dbname "$OPENTILL_DATABASE_URL" --file citus.sql
--
-- Each statement stands for itself. Running the file again after an update takes in the tables that are new;
-- for the others Citus says that they are distributed already, and changes nothing.
--
-- This file is also the one list of which table is of the order family: `opentill doctor` and the tests read it.

-- Small, read by every node, changed by people: a copy on each node.
SELECT create_reference_table('merchants');
SELECT create_reference_table('stores');
SELECT create_reference_table('apps');
SELECT create_reference_table('app_merchants');
SELECT create_reference_table('channel_accounts');
SELECT create_reference_table('operators');
SELECT create_reference_table('operator_accounts');
SELECT create_reference_table('platform_keys');
SELECT create_reference_table('parties_version');
SELECT create_reference_table('audit_events');
SELECT create_reference_table('users');
SELECT create_reference_table('user_roles');
SELECT create_reference_table('user_sessions');
SELECT create_reference_table('sign_in_failures');
SELECT create_reference_table('devices');
SELECT create_reference_table('shifts');
SELECT create_reference_table('exports');
SELECT create_reference_table('receiver_pauses');

-- The order family: rows of one app are on one node, whatever the table, so that a transaction stays there.
-- Parents come before the tables whose foreign keys lead to them.
SELECT create_distributed_table('orders', 'app_id');
SELECT create_distributed_table('trades', 'app_id', colocate_with => 'orders');
SELECT create_distributed_table('payments', 'app_id', colocate_with => 'orders');
SELECT create_distributed_table('history', 'app_id', colocate_with => 'orders');
SELECT create_distributed_table('notifications', 'app_id', colocate_with => 'orders');
SELECT create_distributed_table('notification_attempts', 'app_id', colocate_with => 'orders');
SELECT create_distributed_table('refunds', 'app_id', colocate_with => 'orders');
SELECT create_distributed_table('sign_bindings', 'app_id', colocate_with => 'orders');
SELECT create_distributed_table('refund_days', 'app_id', colocate_with => 'orders');
SELECT create_distributed_table('sales_hours', 'app_id', colocate_with => 'orders');
SELECT create_distributed_table('sales_goods', 'app_id', colocate_with => 'orders');
SELECT create_distributed_table('refused_calls', 'app_id', colocate_with => 'orders');
SELECT create_distributed_table('till_sales', 'app_id', colocate_with => 'orders');
SELECT create_distributed_table('till_refunds', 'app_id', colocate_with => 'orders');
