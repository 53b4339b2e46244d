"""The page's server: sessions, safety, the raters' JSON API, chats with policies, the Gradio pages."""
