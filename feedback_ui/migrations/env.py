"""What Alembic runs: the migrations, on the connection that `feedback_ui.migrate` opened."""

from alembic import context

from feedback_ui.schema import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
